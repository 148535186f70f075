"""A stage is a folder of exchange/ with files of the same names, each with its own duty."""

from pathlib import Path, PurePath

from tests.architecture.source import ROOT, Source, dotted, sources

NOT_STAGES = {
    "banking",
    "clearing",
    "cli",
    "client",
    "contract",
    "embedded",
    "migrations",
    "packs",
    "replay",
    "schedules",
    "waterfalls",
    "witness",
}
FILES = {"__init__", "actions", "api", "jobs", "models", "queries", "rules", "schemas"}
# What else a stage has. Each is a thing of its own, not a second home for one of the files above.
EXTRA = {
    ("console", "charts"),  # the geometry of its plots
    ("console", "formats"),  # numbers as people read them
    ("console", "collecting"),  # the work list
    ("console", "comparing"),  # breaks
    ("console", "lives"),  # one asset, one pool
    ("console", "vehicles"),  # facilities
    ("console", "overview"),  # the first page
    ("console", "series"),  # what the plots show
    ("reconciliation", "checks"),  # what is compared with what
    ("reconciliation", "commands"),  # `exchange reconcile`
    ("collections", "answer_schemas"),  # the wire of answers; `schemas` has what is said
    ("collections", "dealings"),  # what is said and agreed with an obligor
    ("collections", "figures"),  # how collections do
    ("collections", "letters"),  # letters as text and HTML
    ("collections", "lists"),  # what people and funders see; `queries` has what cases are judged by
    ("collections", "policies"),  # strategies as data
    ("collections", "steps"),  # the day of a case
    ("collections", "tasks"),  # what people do
    ("collections", "writing"),  # tasks as they are made, with their letters
    ("facts", "kinds"),  # the kinds as data
    ("facts", "policies"),  # what counts for how long, what is asked for
    ("facts", "reading"),  # files and items, by one definition
    ("facilities", "answer_schemas"),  # the wire of answers; `schemas` has what is said
    ("facilities", "capital"),  # commitments, calls, money back before its time
    ("facilities", "closing"),  # the day of a facility
    ("facilities", "distributions"),  # payment dates
    ("facilities", "figures"),  # value, base and tests, in one pass
    ("facilities", "positions"),  # how a facility stands: what every action begins with
    ("facilities", "terms"),  # its rules as data
    ("facilities", "valuation"),  # what assets are worth and what of them counts
    ("reviews", "screening"),  # what is suspicious of new assets
    ("reviews", "watching"),  # obligors looked at again
    ("risk", "ratings"),  # obligors judged anew
    ("reports", "summary"),  # what the exchange comes to
    ("reports", "tapes"),  # what a funder downloads, as of any day
    ("reports", "files"),  # rows as files with their digest
    ("reports", "parquet"),  # the one place that knows Parquet
    ("losses", "disputes"),  # what obligors object to
    ("losses", "giving_up"),  # writing off, and what comes in for it
    ("losses", "repurchases"),  # assets that go back
    ("settlement", "buy_backs"),  # title back against money
    ("settlement", "chains"),  # who handed a claim on answers for it
    ("settlement", "charges"),  # what is owed on top of a claim
    ("settlement", "debts"),  # what sellers owe, and how they pay it
    ("settlement", "legs"),  # all of it in the books
    ("settlement", "policies"),  # terms as data
    ("settlement", "policy_schemas"),  # their wire
    ("settlement", "sharing"),  # a payment over the claims it names
    ("settlement", "write_offs"),  # what is given up, whoever decides it
    ("settlement", "claims"),  # a claim that gets smaller, whatever the reason
    ("settlement", "decisions"),  # what a person says of a line
    ("settlement", "dilution"),  # credit notes
    ("settlement", "lines"),  # what lines of statements pay
    ("settlement", "receipts"),  # money that came in, booked
    ("settlement", "reversals"),  # receipts undone
    ("settlement", "statement_schemas"),  # the wire of statements; `schemas` has receipts and credit notes
    ("settlement", "statements"),  # files of banks, read and kept
    ("trading", "allotment"),  # who gets what in an auction
    ("trading", "auctions"),  # put up, bid for, called off; `actions` has listings and trades
    ("trading", "closing"),  # what follows from it
    ("trading", "placing"),  # free assets to mandates, without a round
    ("trading", "proofs"),  # the certificate of an auction
    ("title", "encumbrances"),  # rights of others in a claim, with a life of their own
    ("title", "history"),  # who held what when, from signed facts alone
    ("title", "notices"),  # what obligors and the public registry are told
    ("title", "papers"),  # the words of a notice, the lines of a filing
    ("callbacks", "days"),  # the end of a funder's day, as a file
    ("callbacks", "endpoints"),  # what a funder does with its endpoint
    ("callbacks", "settlements"),  # what the books did, told and answered
    ("callbacks", "events"),  # the schema of each, as data
    ("callbacks", "delivery"),  # sends outside any transaction, which no action may
    ("callbacks", "transport"),  # the way out: resolve, check the address, connect to it
    ("callbacks", "verifier"),  # for receivers: has no part in sending
    ("duplicates", "clashes"),  # what is noted of two claims, and who is told
    ("duplicates", "papers"),  # documents that come after their claim
    ("duplicates", "marks"),  # for partners: how an invoice becomes marks
    ("duplicates", "similar"),  # the search for look-alikes
    ("operations", "metrics"),  # what Prometheus reads, on a port of its own
    ("operations", "bookkeeping"),  # the command `exchange books`
    ("operations", "erasures"),  # persons, erased where the law allows it
    ("operations", "privacy_api"),  # personal data, a door of its own
    ("operations", "vault"),  # the command `exchange vault`
    ("parties", "privacy"),  # personal data shown, and noted that it was
    ("parties", "assertion"),  # how a client proves its key
    ("parties", "clients"),  # programs and their keys; `actions` has whom they speak for
    ("parties", "signatures"),  # what clients sign besides their tokens
    ("parties", "oauth"),  # the authorization server, whose errors are its own
    ("receivables", "answer_schemas"),  # the wire of asking; `schemas` has what is said
    ("receivables", "approvals"),  # the second pair of eyes
    ("receivables", "confirmations"),  # the obligor's answer, whoever brings it
    ("receivables", "documents"),  # papers, hashed
    ("receivables", "forms"),  # what a person wrote into the page
    ("receivables", "outcomes"),  # who calls, what became of an item: for every action here
    ("receivables", "pages"),  # the page behind an obligor's link
    ("receivables", "requests"),  # links, and silence
    ("receivables", "schedules"),  # what a submitted schedule comes to
    ("payments", "accounts"),  # where money may go, and who agreed
    ("payments", "alarm_api"),  # the operations about money that is there, or missing; `api` has those that move it
    ("payments", "alarm_schemas"),  # the wire of advices and alarms
    ("payments", "alarms"),  # money that should have come
    ("payments", "answers"),  # what the bank says of payments
    ("payments", "approvals"),  # the second person
    ("payments", "files"),  # instructions to the bank
    ("payments", "money"),  # whose the money is, and both legs of an asset
    ("payments", "rails"),  # how files get to the bank: people, or a sandbox
    ("payments", "refunds"),  # unapplied money sent back
    ("settlement", "virtual_accounts"),  # numbers that say by themselves what is paid
    ("models", "cards"),  # the card of a model, the points of a decision
    ("models", "commands"),  # `exchange model`
    ("risk", "decisions"),  # one decision: made, kept, made again
    ("risk", "engines"),  # which model scores
    ("risk", "losses"),  # rates of loss and the appetite, in versions
    ("risk", "papers"),  # what statements and reports say of obligors
    ("pools", "terms"),  # what a mandate says; `rules` judges by it
    ("rounds", "answers"),  # what clearing says, and its proof
    ("rounds", "rehearsals"),  # a mandate that is not in force, tried out
    ("rounds", "market"),  # rows into what clearing takes, and nothing else
    ("risk", "facts"),  # rows into the columns that scoring reads
    ("risk", "history"),  # facts from before the exchange
    ("registry", "commands"),  # `exchange keys`
    ("registry", "keys"),  # the lives of the keys that sign
    ("registry", "sealing"),  # signs what waits, outside any business transaction
    ("registry", "checkpoints"),  # signs what the log holds, outside the transactions that fill it
    ("registry", "consistency"),  # what log, chains and guard must say of each other
    ("registry", "guard"),  # the last checkpoint, apart from the data
    ("registry", "progress"),  # how far the log is
    ("registry", "waiting"),  # for callers who wait until they are covered
    ("registry", "witnesses"),  # asks them, outside any transaction
    ("risk", "limits"),  # a ledger of its own
    ("risk", "suspensions"),  # limits in abeyance: causes, and who lifts them
    ("servicing", "accruals"),  # what time makes of a discount
    ("servicing", "clocks"),  # rows into what rules read
    ("servicing", "consent"),  # rules of waiting; `rules` has those of lateness
    ("servicing", "effects"),  # what follows from facts
    ("servicing", "forbearances"),  # proposals to wait, and their answers
    ("sandbox", "keeper"),  # lives sandboxes, in a process of its own
    ("sandbox", "mounts"),  # the way in: which application a request is for
    ("sandbox", "places"),  # databases and the services on them
    ("sandbox", "players"),  # the other parties, over the sandbox's own API
    ("servicing", "terms"),  # a policy as data
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
