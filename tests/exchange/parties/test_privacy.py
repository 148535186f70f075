"""Personal data: sealed, masked, shown for a reason that stays, sealed again under a new key, erased for good."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidTag
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from exchange.auth import Role
from exchange.keyring import Vault, open_keyring
from exchange.operations import vault as command
from exchange.parties import privacy
from exchange.parties.privacy import seal_again
from exchange.settings import SettingsError, to_environment
from tests.architecture.source import sources
from tests.exchange.facts.bodies import CREDIT, TOLD
from tests.exchange.house import Client, House, enter_client, receivable
from tests.exchange.owner import as_owner
from tests.exchange.premises import premises

NUMBER = "110101199003071234"
WHY = {"purpose": "legal_request", "reason": "court letter 7"}
SEALING = {
    "callbacks/actions",  # secrets under which callbacks are signed
    "parties/privacy",  # what is a person's
    "sandbox/places",  # what a sandbox's own keys come from
    "trading/closing",  # bids, once their auction is over
}


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house; each test has a person of its own."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only("nothing")
        yield house


@pytest.fixture(scope="module")
def second(house: House) -> Client:
    """Another operator."""
    return enter_client(house.services, house.app, role=Role.OPERATOR, name="second")


def rows(house: House, statement: str, **parameters: object) -> list[Any]:
    """What the database has."""
    with house.services.database.transaction() as session:
        return list(session.execute(text(statement), parameters).all())


def enter(house: House, name: str, **changes: object) -> tuple[str, str]:
    """A receivable whose seller a person controls: the controller's id and the asset's."""
    seller = {"scheme": "platform", "value": name, "controller": {"national_id": NUMBER + name}}
    (asset_id,) = house.submit(receivable(f"INV {name}", seller=seller, **changes))
    ((controller_id,),) = rows(house, "SELECT controller_id FROM company WHERE value = :v", v=name)
    return controller_id, asset_id


def end(house: House, asset_id: str, *, years: int) -> None:
    """Let an asset be over for so many years."""
    with as_owner(house.services.database) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(
            text("UPDATE claim SET state = 'closed', outstanding_minor = 0 WHERE asset_id = :id"), {"id": asset_id}
        )
        for statement in (
            """
            UPDATE receivable SET issue_date = issue_date - make_interval(years => :y),
                due_date = due_date - make_interval(years => :y) WHERE asset_id = :id
            """,
            "UPDATE asset_event SET recorded_at = recorded_at - make_interval(years => :y) WHERE asset_id = :id",
        ):
            session.execute(text(statement), {"id": asset_id, "y": years})


def test_masked_until_somebody_says_why(house: House) -> None:
    """Nobody is shown the number but an operator with a purpose; who, which, why is there for auditors at once."""
    controller_id, _ = enter(house, "masked")
    masked = house.operator.get(f"/v1/controllers/{controller_id}")
    assert (masked["kept"], masked["erased_at"], len(masked["companies"])) == (True, None, 1)
    assert NUMBER not in str(masked)
    path = f"/v1/controllers/{controller_id}/accesses"
    assert house.operator.refused("POST", path, {"purpose": "curiosity", "reason": "x"})["status"] == 422
    auditor = enter_client(house.services, house.app, role=Role.AUDITOR, name="auditor")
    for client in (auditor, house.platform, house.funders[0]):
        assert client.refused("POST", path, WHY)["code"] == "forbidden"
    listed = f"/v1/personal-accesses?subject={controller_id}"
    assert auditor.get(listed)["items"] == []
    shown = house.operator.post(path, WHY)
    assert shown["national_id"] == f"{NUMBER}masked"
    (noted,) = auditor.get(listed)["items"]
    told = {name: noted[name] for name in ("access_id", "subject", "field", "client_id", "role")}
    assert told == {
        "access_id": shown["access_id"],
        "subject": controller_id,
        "field": "national_id",
        "client_id": house.operator.client_id,
        "role": "operator",
    }
    assert {name: noted[name] for name in WHY} == WHY
    assert auditor.get(f"/v1/personal-accesses?client_id={auditor.client_id}")["items"] == []
    kept = rows(house, "SELECT body FROM idempotency_outcome")
    assert not any(NUMBER.encode() in bytes(body) for (body,) in kept)


def test_no_note_no_number(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note is written first and in the same transaction: without it nothing is shown, without showing no note."""
    controller_id, _ = enter(house, "unnoted")
    path, before = f"/v1/controllers/{controller_id}/accesses", len(rows(house, "SELECT FROM personal_access"))

    def damaged(*_: object, **__: object) -> bytes:
        raise InvalidTag

    monkeypatch.setattr(Vault, "open", damaged)
    assert house.operator.call("POST", path, body=WHY).status_code == 500
    assert len(rows(house, "SELECT FROM personal_access")) == before
    monkeypatch.undo()
    monkeypatch.setattr(privacy, "note_access", damaged)
    answer = house.operator.call("POST", path, body=WHY)
    assert (answer.status_code, NUMBER in answer.text) == (500, False)


def test_nothing_else_opens_what_is_sealed() -> None:
    """Secrets and bids are opened where they are used; what is a person's only beside its note."""
    opening = set()
    for source in [one for one in sources("exchange") if "vault" in one.text]:
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, ast.Attribute) and node.attr == "open" and "vault" in ast.unparse(node.value):
                opening.add(source.path)
    assert opening == {f"exchange/{place}.py" for place in SEALING}
    readers = {source.path for source in sources("exchange") if "identity_sealed" in source.text}
    parties = {f"exchange/parties/{name}.py" for name in ("actions", "models", "privacy")}
    assert readers == parties | {"exchange/operations/queries.py", "exchange/packs/tables.py"}
    (asking,) = [source.text for source in sources("exchange") if source.path == "exchange/operations/queries.py"]
    assert re.findall(".*identity_sealed.*", asking) == [
        "    SELECT controller_id, coalesce(identity_sealed, '') <> '' AS kept, erased_at,"  # whether, never what
    ]


@pytest.mark.parametrize("statement", ["UPDATE personal_access SET reason = ''", "DELETE FROM personal_access"])
def test_the_trail_stays(house: House, statement: str) -> None:
    """Not even the schema's owner changes it; the service has no right to try."""
    enter_and_read(house, statement[:6])
    with pytest.raises(DBAPIError, match="permission denied"):
        rows(house, f"{statement} RETURNING 1")
    with pytest.raises(DBAPIError, match="personal_access"), as_owner(house.services.database) as session:
        session.execute(text(statement))


def enter_and_read(house: House, name: str) -> str:
    """A person whose number was read once."""
    controller_id, _ = enter(house, name)
    house.operator.post(f"/v1/controllers/{controller_id}/accesses", WHY)
    return controller_id


def test_a_person_is_erased(house: House, second: Client) -> None:
    """Refused with a day while an asset lives and ten years on; then by two, for good; proofs stay as they were."""
    controller_id, asset_id = enter(house, "erased")
    path = f"/v1/controllers/{controller_id}/erasures"
    refused = house.operator.refused("POST", path, {"reason": "asked"})
    assert (refused["code"], refused["numbers"]) == ("live_asset", {"not_before": "2036-05-01"})
    end(house, asset_id, years=9)
    refused = house.operator.refused("POST", path, {"reason": "asked"})
    assert (refused["code"], refused["numbers"]) == ("retention_duty", {"not_before": "2027-05-01"})
    end(house, asset_id, years=2)
    records = house.platform.get(f"/v1/assets/{asset_id}/records")
    asked = house.operator.post(path, {"reason": "the person asked"})
    decide = f"/v1/erasures/{asked['erasure_id']}/decision"
    assert house.operator.refused("POST", path, {"reason": "again"})["code"] == "erasure_awaited"
    assert house.operator.refused("POST", decide, {"decision": "approved"})["code"] == "second_person_needed"
    assert second.get("/v1/erasures?state=open")["items"] == [asked]
    decided = second.post(decide, {"decision": "approved"})
    assert (decided["decision"], decided["decided_by"]) == ("approved", second.client_id)
    assert house.operator.refused("POST", decide, {"decision": "declined"})["code"] == "erasure_decided"
    assert house.operator.refused("POST", path, {"reason": "again"})["code"] == "personal_data_gone"
    gone = house.operator.refused("POST", f"/v1/controllers/{controller_id}/accesses", WHY)
    assert (gone["status"], gone["code"]) == (410, "personal_data_gone")
    masked = house.operator.get(f"/v1/controllers/{controller_id}")
    assert (masked["kept"], masked["erased_at"]) == (False, decided["decided_at"])
    left = rows(
        house, "SELECT identity_hash, identity_sealed FROM controller WHERE controller_id = :c", c=controller_id
    )
    assert [tuple(row) for row in left] == [(None, None)]
    assert house.platform.get(f"/v1/assets/{asset_id}/records") == records
    again, _ = enter(house, "erased again")  # nobody knows that it is the same person
    assert again != controller_id


def test_an_erasure_is_declined(house: House, second: Client) -> None:
    """Then everything stays, and it may be asked again; approved by whom nobody asked, nothing is."""
    controller_id, asset_id = enter(house, "declined")
    end(house, asset_id, years=11)
    for _ in range(2):
        asked = house.operator.post(f"/v1/controllers/{controller_id}/erasures", {"reason": "asked"})
        second.post(f"/v1/erasures/{asked['erasure_id']}/decision", {"decision": "declined"})
    assert house.operator.get(f"/v1/controllers/{controller_id}")["kept"]
    with pytest.raises(DBAPIError, match="nobody decided"):
        rows(house, "SELECT person_erase(:c, now())", c=controller_id)
    for statement in ("UPDATE erasure SET decision = 'approved'", "DELETE FROM erasure"):
        with pytest.raises(DBAPIError, match=r"stays|sealed"), as_owner(house.services.database) as session:
            session.execute(text(statement))


def test_what_a_report_said_goes_too(house: House, second: Client) -> None:
    """A credit report of the person says nothing any more; every other fact is as sealed as before."""
    controller_id, asset_id = enter(house, "reported")
    report = {"person": {"national_id": f"{NUMBER}reported"}, **TOLD, **CREDIT}
    answer = house.operator.post("/v1/facts/person-reports", {"items": [report]})
    if answer["items"][0]["status"] != 201:
        pytest.fail(str(answer))
    end(house, asset_id, years=11)
    asked = house.operator.post(f"/v1/controllers/{controller_id}/erasures", {"reason": "asked"})
    second.post(f"/v1/erasures/{asked['erasure_id']}/decision", {"decision": "approved"})
    bodies = rows(house, "SELECT body FROM company_fact WHERE controller_id = :c", c=controller_id)
    assert [body for (body,) in bodies] == [{}]
    for change in ("UPDATE company_fact SET body = '{}'", "DELETE FROM company_fact"):
        with pytest.raises(DBAPIError, match="sealed"), as_owner(house.services.database) as session:
            session.execute(text(change))
        with pytest.raises(DBAPIError, match="permission denied"):
            rows(house, f"{change} RETURNING 1")


def test_keys_of_the_vault(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key seals; the old one opens; what it sealed is sealed again, a part at a time, from where it stopped."""
    settings = replace(house.services.settings, home=tmp_path, seed=None, virtual_clock=False)
    old = open_keyring(settings, entropy=house.services.entropy)
    sealed = {place: old.vault.seal(b"secret", place=place, nonce=bytes(12)) for place in (b"a", b"b", b"c")}
    with as_owner(house.services.database) as session:
        session.execute(text("UPDATE controller SET identity_sealed = NULL"))
        for place, value in sealed.items():
            session.execute(
                text("INSERT INTO controller VALUES (:id, :hash, :sealed, now())"),
                {"id": f"ctl_{place.decode()}", "hash": place, "sealed": value},
            )
    for variable, setting in to_environment(settings).items():
        monkeypatch.setenv(variable, setting)
    runner = CliRunner()
    assert "Key 2 is made" in runner.invoke(command.group, ["rotate"]).output
    new = open_keyring(settings, entropy=house.services.entropy)
    assert (old.vault.newest, new.vault.newest) == (1, 2)
    with house.services.database.transaction() as session:  # and then somebody kills it
        assert seal_again(session, keyring=new, entropy=house.services.entropy, most=2) == 2
    mixed = [bytes(one) for (one,) in rows(house, "SELECT identity_sealed FROM controller WHERE identity_sealed > ''")]
    assert sorted(one[1] for one in mixed) == [1, 2, 2]
    result = runner.invoke(command.group, ["reseal", "--batch", "1"])
    assert (result.exit_code, "1 values are sealed again under key 2" in result.output) == (0, True), result.output
    for name, value in rows(house, "SELECT identity_hash, identity_sealed FROM controller WHERE identity_sealed > ''"):
        assert bytes(value)[:2] == b"\0\2"
        assert old.vault.open(bytes(value), place=bytes(name)) == b"secret"  # by a process older than the key
        with pytest.raises(InvalidTag):
            new.vault.open(bytes(value), place=b"elsewhere")
    (tmp_path / "keys" / "vault-2.key").unlink()
    with pytest.raises(SettingsError, match="vault-2"):
        open_keyring(settings, entropy=house.services.entropy).vault.open(bytes(value), place=bytes(name))
