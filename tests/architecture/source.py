"""The project's own code, parsed once, for the tests that read it."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("exchange", "ledger", "scoring")


@dataclass(frozen=True)
class Source:
    """One file: its path from the root of the project, its text, its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The folder at the top: exchange, ledger, scoring, tests; empty for wsgi.py."""
        return self.path.rpartition("/")[0].partition("/")[0]

    def calls(self) -> Iterator[ast.Call]:
        """Every call in the file."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def imports(self) -> Iterator[tuple[str, str]]:
        """Every import: the module and, for `from ... import`, the name; `import m` gives the name ''."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)

    def comments(self) -> Iterator[tuple[int, str]]:
        """Every comment with its line."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return the files of these folders (all of them: wsgi.py too), but for what is written by programs."""
    roots = [ROOT / folder for folder in folders or (*PACKAGES, "tests")]
    paths = [path for root in roots for path in root.rglob("*.py")]
    paths += [ROOT / "wsgi.py"] if not folders and (ROOT / "wsgi.py").exists() else []
    return tuple(
        Source(path.relative_to(ROOT).as_posix(), text := path.read_text(), ast.parse(text))
        for path in sorted(paths)
        if "migrations/versions" not in path.as_posix() and not path.as_posix().endswith("client/operations.py")
    )


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for the expression a.b.c, with `?` for what is not a name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
