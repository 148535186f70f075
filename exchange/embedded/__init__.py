"""A PostgreSQL server of our own, for a machine that has none.

`start` runs the server out of a wheel (or out of the folder that EXCHANGE_PG_BIN names) on a private Unix
socket and gives back its URL. A `home` belongs to one user and holds `lock`, `owner`, `pg.log` and `data`:

- `lock` is held while a server is being started or stopped: of two starters one works and the other waits;
- `owner` is held for as long as the process that started the server lives. Whoever finds it held attaches to
  the running server and leaves it running. Whoever finds it free but a server running has found an orphan
  (its owner was killed): it is stopped and started afresh, with the settings now asked for.

PostgreSQL refuses to run as root. Started by root it runs as the owner of its data (`postgres`, else
`nobody`). Where that user cannot enter `home` (a checkout under /root), `data` is a link to a folder
that it can enter, with `owner` and `pg.log`.
"""

from exchange.embedded.databases import create_database, drop_database
from exchange.embedded.launcher import EmbeddedPostgres, destroy, start
from exchange.embedded.leash import Leash, leash
from exchange.embedded.programs import EmbeddedPostgresError

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "Leash",
    "create_database",
    "destroy",
    "drop_database",
    "leash",
    "start",
]
