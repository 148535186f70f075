"""A stage is a folder of exchange/ with files of the same names, each with its own duty."""

from pathlib import Path, PurePath

from tests.architecture.source import ROOT, Source, dotted, sources

NOT_STAGES = {"banking", "embedded", "migrations", "packs", "replay", "witness"}
FILES = {"__init__", "actions", "api", "jobs", "models", "queries", "rules", "schemas"}
# What else a stage has. Each is a thing of its own, not a second home for one of the files above.
EXTRA = {
    ("console", "charts"),  # the geometry of its plots
    ("console", "formats"),  # numbers as people read them
    ("console", "lives"),  # one asset, one pool
    ("console", "overview"),  # the first page
    ("console", "series"),  # what the plots show
    ("reports", "summary"),  # what the exchange comes to
    ("settlement", "claims"),  # a claim that gets smaller, whatever the reason
    ("settlement", "dilution"),  # credit notes
    ("settlement", "receipts"),  # bank lines
    ("callbacks", "delivery"),  # sends outside any transaction, which no action may
    ("callbacks", "transport"),  # the way out: resolve, check the address, connect to it
    ("callbacks", "verifier"),  # for receivers: has no part in sending
    ("parties", "assertion"),  # how a client proves its key
    ("risk", "facts"),  # rows into the columns that scoring reads
    ("risk", "history"),  # facts from before the exchange
    ("registry", "checkpoints"),  # signs what the log holds, outside the transactions that fill it
    ("risk", "limits"),  # a ledger of its own
}
PURE = ("flask", "flask_smorest", "sqlalchemy", "psycopg", "exchange.clock", "exchange.db")


def _stage(source: Source) -> str:
    """Return the stage a file belongs to, or '' for the floor, the edge and tests."""
    parts = PurePath(source.path).parts
    return parts[1] if parts[0] == "exchange" and len(parts) > 2 and parts[1] not in NOT_STAGES else ""


def test_files_of_a_stage() -> None:
    """Whoever knows one stage finds the way in all."""
    places = [(_stage(source), PurePath(source.path).stem, source.path) for source in sources("exchange")]
    unknown = [path for stage, stem, path in places if stage and stem not in FILES and (stage, stem) not in EXTRA]
    assert unknown == []
    assert {(stage, stem) for stage, stem, _ in places} >= EXTRA


def test_stages_are_flat() -> None:
    """A stage has no folder of code inside."""
    deep = [source.path for source in sources("exchange") if _stage(source) and source.path.count("/") > 2]
    assert deep == []


def test_rules_are_pure() -> None:
    """A rule sees neither request nor database nor clock; `now` and rows' values are its arguments."""
    impure = [
        (source.path, f"{module}.{name}")
        for source in sources("exchange", "ledger", "scoring")
        if PurePath(source.path).name == "rules.py"
        for module, name in source.imports()
        if any(f"{module}.{name}.".startswith(f"{forbidden}.") for forbidden in PURE)
    ]
    assert impure == []


def test_the_edge_commits() -> None:
    """One transaction a request or a job's item, opened at the edge: no stage and no ledger ends one."""
    ending = [
        f"{source.path}:{call.lineno}"
        for source in sources("exchange", "ledger")
        if _stage(source) or source.package == "ledger"
        for call in source.calls()
        if dotted(call.func).endswith((".commit", ".rollback")) and not call.args  # a pool's commit has arguments
    ]
    assert ending == []


def test_every_folder_of_code_is_a_package() -> None:
    """A folder without __init__.py would escape the import contracts."""
    folders = {Path(ROOT, source.path).parent for source in sources("exchange", "ledger", "scoring")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
