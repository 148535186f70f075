"""What code may not contain, wherever it is."""

import ast
import re

from tests.architecture.source import dotted, sources

NOQA = re.compile(r"noqa", re.IGNORECASE)
NOQA_WITH_REASON = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w")
TYPE_IGNORE = re.compile(r"# type: *ignore")
TYPE_IGNORE_WITH_REASON = re.compile(r"# type: ignore\[[a-z, -]+\]  ?(# |- )\w")
PRAGMA = re.compile(r"# *pragma:")
PRAGMA_WITH_REASON = re.compile(r"# pragma: no (cover|branch) - \w")
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}


def test_imports_are_at_the_top() -> None:
    """No function imports: what a module needs is on its first page, and no cycle hides."""
    inner = [
        f"{source.path}:{inner.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert inner == []


def test_exceptions_have_reasons() -> None:
    """Whoever silences a linter, the type checker or coverage says why on the same line."""
    rules = [(NOQA, NOQA_WITH_REASON), (TYPE_IGNORE, TYPE_IGNORE_WITH_REASON), (PRAGMA, PRAGMA_WITH_REASON)]
    unexplained = [
        f"{source.path}:{line} {comment}"
        for source in sources()
        for line, comment in source.comments()
        for silences, explained in rules
        if silences.search(comment) and not explained.search(comment)
    ]
    assert unexplained == []


def test_clock_is_read_in_one_place() -> None:
    """`now` is an argument: only exchange/clock.py asks the system (monotonic timers are free)."""
    reads = [
        f"{source.path}:{call.lineno}"
        for source in sources("exchange", "ledger", "scoring")
        if source.path != "exchange/clock.py"
        for call in source.calls()
        if re.search(r"(^|\.)(datetime|date|time)\.\w+$", name := dotted(call.func))
        and name.rpartition(".")[2] in CLOCKS
    ]
    named = [
        source.path
        for source in sources("exchange", "ledger", "scoring")
        if any(module == "time" and name in CLOCKS for module, name in source.imports())
    ]
    assert reads + named == []


def test_chance_comes_from_one_place() -> None:
    """Only exchange/entropy.py draws random bytes; the synthetic book has a seeded Random."""
    drawing = []
    for source in sources("exchange", "ledger", "scoring"):
        imported = set(source.imports())
        used = {module for module, _ in imported} & {"secrets", "random", "uuid"}
        if source.path.startswith("exchange/replay/synthetic"):
            used = {name for module, name in imported if module == "random"} - {"Random"}
        if used & {"uuid"} and not any(dotted(call.func).endswith(("uuid1", "uuid4")) for call in source.calls()):
            used -= {"uuid"}
        if any(dotted(call.func) in {"os.urandom", "urandom", "os.getrandom"} for call in source.calls()):
            used |= {"os.urandom"}
        if used and source.path != "exchange/entropy.py":
            drawing.append((source.path, sorted(used)))
    assert drawing == []


def test_tables_are_linked_by_class() -> None:
    """No relationship names its class in a string, and none is made from the other side by backref."""
    hidden = [
        f"{source.path}:{call.lineno}"
        for source in sources("exchange", "ledger")
        for call in source.calls()
        if dotted(call.func).rpartition(".")[2] in {"relationship", "backref"}
        and (
            any(isinstance(argument, ast.Constant) for argument in call.args)
            or any(keyword.arg == "backref" for keyword in call.keywords)
        )
    ]
    assert hidden == []


def test_tests_say_what_they_show() -> None:
    """Every test has a docstring of one line."""
    silent = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len((ast.get_docstring(node) or "").splitlines()) != 1
    ]
    assert silent == []
