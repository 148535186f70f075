"""The same transfers with django-hordak; run by `posting` in an environment of its own, prints two rates as JSON.

Arguments: the server's socket folder, how many clients, how many transfers each. The first rate is hordak as its
documentation has it, each transfer a transaction; the second puts a hundred of them into one.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import django  # type: ignore[import-not-found]  # only where the benchmark installs it
from django.apps import apps  # type: ignore[import-not-found]  # same
from django.conf import settings  # type: ignore[import-not-found]  # same
from django.core.management import call_command  # type: ignore[import-not-found]  # same
from django.db import connection, transaction  # type: ignore[import-not-found]  # same
from moneyed import Money  # type: ignore[import-not-found]  # same

ACCOUNTS = 200
BATCH = 100


def set_up(host: str) -> list[Any]:
    """Migrate, and open accounts; hordak locks none of them, so a few are as good as many."""
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "hordak", "USER": "postgres", "HOST": host}
    settings.configure(
        DATABASES={"default": {**database, "PORT": "5432"}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"],
        SECRET_KEY="benchmark",  # noqa: S106 - nothing is secret here
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DEFAULT_CURRENCY="CNY",
        CURRENCIES=("CNY",),
        HORDAK_CURRENCIES=["CNY"],
    )
    django.setup()
    call_command("migrate", verbosity=0)
    create = apps.get_model("hordak", "Account").objects.create
    return [create(name=f"a{number}", code=str(number), type="AS", currencies=["CNY"]) for number in range(ACCOUNTS)]


def rate(accounts: list[Any], *, clients: int, each: int, together: Callable[[], AbstractContextManager[Any]]) -> float:
    """Transfers a second by so many clients at once."""

    def client(first: int) -> None:
        for start in range(0, each, BATCH):
            with together():
                for number in range(first + start, first + start + BATCH):
                    source, target = accounts[number * 7 % ACCOUNTS], accounts[(number * 7 + 3) % ACCOUNTS]
                    source.transfer_to(target, Money(5, "CNY"), description="payment of a receivable")
        connection.close()

    threads = [threading.Thread(target=client, args=(number * each,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * each / (time.perf_counter() - began)


def main(host: str, clients: str, each: str) -> None:
    """Measure both ways."""
    accounts = set_up(host)
    ways: list[Callable[[], AbstractContextManager[Any]]] = [nullcontext, transaction.atomic]
    print(json.dumps([rate(accounts, clients=int(clients), each=int(each), together=way) for way in ways]))


if __name__ == "__main__":
    main(*sys.argv[1:])
