"""The Python client, written from the contract: a method an operation."""

import keyword
import textwrap
from collections.abc import Mapping
from typing import Any

from exchange.contract.document import Document, operations

TYPES = {"string": "str", "integer": "int", "boolean": "bool", "array": "list[Any]", "object": "dict[str, Any]"}
HEAD = '''"""The operations of the exchange. Written by `exchange contract` from the contract: change that, not this."""

from collections.abc import Iterator
from typing import Any

from exchange.client.transport import Transport, given, new_key, part


class Exchange(Transport):
    """Every operation of the exchange, for one client of it. What is left out, or None, is not sent."""
'''


def client_text(document: Document) -> str:
    """The module `exchange.client.operations`."""
    methods = [_method(document, *one) for one in operations(document) if one[2]["security"]]
    return HEAD + "".join(methods)


def _method(document: Document, method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = operation.get("parameters", ())
    queried = [one for one in parameters if one.get("in") == "query"]
    idempotent = any(one.get("name") == "Idempotency-Key" for one in parameters)
    places = [part.partition("}")[0] for part in path.split("{")[1:]]
    members, sent = _body(document, operation, set(places))
    required = [*(f"{place}: str" for place in places)]
    optional = [(one["name"], one["schema"], bool(one.get("required"))) for one in queried] + members
    named = [
        f"{_name(name)}: {_type(document, schema)}" + ("" if needed else " | None = None")
        for name, schema, needed in sorted(optional, key=lambda one: not one[2])
    ] + (["idempotency_key: str | None = None"] if idempotent else [])
    arguments = ", ".join(["self", *required, *(["*", *named] if named else [])])
    address = "f" * bool(places) + '"' + path.replace("{", "{part(").replace("}", ")}") + '"'
    query = "given(" + ", ".join(f"{_name(one['name'])}={_name(one['name'])}" for one in queried) + ")"
    if {"after", "limit"} <= {one["name"] for one in queried}:
        answer, call = "Iterator[dict[str, Any]]", f"self.pages({address}, {query})"
    else:
        given = [f'"{method.upper()}"', address, *([f"query={query}"] if queried else []), *sent]
        given += ["key=idempotency_key or new_key()"] if idempotent else []
        answer, call = "Any", f"self.call({', '.join(given)})"
    summary = textwrap.fill(operation["summary"], 100, initial_indent=" " * 8, subsequent_indent=" " * 8).strip()
    return (
        f"\n    def {operation['operationId']}({arguments}) -> {answer}:\n"
        f'        """{summary}"""\n        return {call}\n'
    )


def _body(
    document: Document, operation: Mapping[str, Any], taken: set[str]
) -> tuple[list[tuple[str, Mapping[str, Any], bool]], list[str]]:
    """The members of the body that become arguments, and how they are sent."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return [], []
    schema = _resolved(document, next(iter(content.values()))["schema"])
    members = schema.get("properties", {})
    if not members or taken & members.keys() or "application/json" not in content:
        return [("body", {} if "application/json" in content else {"type": "bytes"}, True)], ["body=body"]
    needed = set(schema.get("required", ()))
    listed = [(name, one, name in needed) for name, one in members.items()]
    return listed, ["body=given(" + ", ".join(f"{_name(name)}={_name(name)}" for name in members) + ")"]


def _type(document: Document, schema: Mapping[str, Any]) -> str:
    kinds = _resolved(document, schema).get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else [one for one in kinds if one != "null"]
    return {"bytes": "bytes", **TYPES}.get(kinds[0], "Any") if kinds else "Any"


def _resolved(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref")
    return document["components"]["schemas"][name.rpartition("/")[2]] if name else schema


def _name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name
