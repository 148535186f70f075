"""Files and functions stay small enough to be read at once."""

import ast
from pathlib import PurePath

from tests.architecture.source import Source, sources

FUNCTION_LINES = 50
CODE_LINES = 400
TEST_LINES = 500
CONFTEST_LINES = 150
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def _line_budget(source: Source) -> int:
    if source.path.endswith("conftest.py"):
        return CONFTEST_LINES
    return TEST_LINES if source.package == "tests" else CODE_LINES


def test_files_are_short() -> None:
    """400 lines of code, 500 of tests, 150 of conftest."""
    lengths = [(source, source.text.count("\n")) for source in sources()]
    assert [(source.path, lines) for source, lines in lengths if lines > _line_budget(source)] == []


def test_functions_are_short() -> None:
    """50 lines, docstring included."""
    too_long = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert too_long == []


def test_names_say_something() -> None:
    """No file and no folder is called utils, helpers or common."""
    named = [(source.path, {PurePath(part).stem for part in PurePath(source.path).parts}) for source in sources()]
    assert [path for path, names in named if names & EMPTY_NAMES] == []
