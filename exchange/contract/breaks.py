"""What of a new contract breaks who was written for the old one."""

from collections.abc import Iterator, Mapping
from typing import Any

from exchange.contract.document import Document, operations

REQUEST, ANSWER = "request", "answer"
NARROWER = {"maxLength": -1, "maximum": -1, "maxItems": -1, "minLength": 1, "minimum": 1, "minItems": 1}
"""Limits, and in which direction a new one refuses what the old one took."""


def breaks(old: Document, new: Document) -> list[str]:
    """Each breaking change, in a line: what may no longer be sent, and what may no longer be relied on in answers."""
    now = {one["operationId"]: (method, path, one) for method, path, one in operations(new)}
    found: list[str] = []
    for method, path, before in operations(old):
        name = before["operationId"]
        if name not in now:
            found.append(f"{name}: removed")
            continue
        if now[name][:2] != (method, path):
            found.append(f"{name}: moved from {method.upper()} {path}")
        found += [f"{name}: {told}" for told in _operation(before, now[name][2], old, new)]
    found += [f"{kind}: event removed" for kind in old.get("webhooks", {}).keys() - new.get("webhooks", {}).keys()]
    for kind in old.get("webhooks", {}).keys() & new.get("webhooks", {}).keys():
        bodies = [document["webhooks"][kind]["post"]["requestBody"]["content"] for document in (old, new)]
        compared = _Compared(old, new, ANSWER)  # an event is sent by us
        found += [f"{kind}: {told}" for told in compared.bodies(*bodies)]
    return sorted(found)


def _operation(before: Mapping[str, Any], after: Mapping[str, Any], old: Document, new: Document) -> Iterator[str]:
    sent, answered = _Compared(old, new, REQUEST), _Compared(old, new, ANSWER)
    for role in sorted(set(before.get("x-roles", ())) - set(after.get("x-roles", ()))):
        yield f"closed to the role {role}"
    known = {(one["in"], one["name"]): one for one in before.get("parameters", ())}
    asked = {(one["in"], one["name"]): one for one in after.get("parameters", ())}
    for (_, name), one in asked.items():
        if one.get("required") and not known.get((one["in"], name), {}).get("required"):
            yield f"request /{name}: newly required"
    for key, one in known.items():
        if key not in asked:
            yield f"request /{key[1]}: removed"
        else:
            yield from sent.schemas(one.get("schema", {}), asked[key].get("schema", {}), f"/{key[1]}")
    was, now = before.get("requestBody", {}), after.get("requestBody", {})
    if now.get("required") and not was.get("required"):
        yield "request: a body is newly required"
    yield from sent.bodies(was.get("content", {}), now.get("content", {}))
    for status, answer in before["responses"].items():
        if not status.startswith("2"):
            continue
        if status not in after["responses"]:
            yield f"answer {status}: removed"
        else:
            yield from answered.bodies(answer.get("content", {}), after["responses"][status].get("content", {}))


class _Compared:
    """Schemas of two documents, as they are sent to us (`REQUEST`) or by us (`ANSWER`)."""

    def __init__(self, old: Document, new: Document, side: str) -> None:
        self._old, self._new, self._side = old, new, side
        self._seen: set[tuple[str, str]] = set()

    def bodies(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        """What breaks between two bodies of the same place."""
        for kind, one in before.items():
            if kind not in after:
                yield f"{self._side}: no longer {kind}"
            else:
                yield from self.schemas(one.get("schema", {}), after[kind].get("schema", {}), "")

    def schemas(self, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> Iterator[str]:
        """What breaks between two schemas, `at` their place in the body."""
        names = (before.get("$ref", ""), after.get("$ref", ""))
        if all(names):
            if names in self._seen:
                return
            self._seen.add(names)
        before, after = _resolved(before, self._old), _resolved(after, self._new)
        yield from (f"{self._side} {at or '/'}: {told}" for told in self._values(before, after))
        yield from self._members(before, after, at)
        if "items" in before and "items" in after:
            yield from self.schemas(before["items"], after["items"], f"{at}/*")

    def _values(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        """A request may not take less, an answer not give more."""
        wide, narrow = (before, after) if self._side == REQUEST else (after, before)
        kinds, left = _kinds(wide), _kinds(narrow)
        if left and not kinds <= left and not (not kinds and wide == narrow):
            yield f"type {_told(_kinds(before))} became {_told(_kinds(after))}"
        if "enum" in narrow or "const" in narrow:
            lost = _words(wide) - _words(narrow)
            if lost or not _words(wide):
                yield f"{'no longer takes' if self._side == REQUEST else 'may now be'} {_told(lost) or 'anything'}"
        for limit, direction in NARROWER.items() if self._side == REQUEST else ():
            if limit in after and direction * after[limit] > direction * before.get(limit, -direction * float("inf")):
                yield f"{limit} became {after[limit]}"
        if self._side == REQUEST and after.get("pattern", before.get("pattern")) != before.get("pattern"):
            yield f"pattern became {after['pattern']}"

    def _members(self, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> Iterator[str]:
        was, now = before.get("properties", {}), after.get("properties", {})
        needed, still = set(before.get("required", ())), set(after.get("required", ()))
        for name in was:
            if name not in now:
                yield f"{self._side} {at}/{name}: removed"
            else:
                yield from self.schemas(was[name], now[name], f"{at}/{name}")
        changed = still - needed if self._side == REQUEST else (needed - still) & now.keys()
        word = "newly required" if self._side == REQUEST else "no longer always there"
        yield from (f"{self._side} {at}/{name}: {word}" for name in sorted(changed))


def _resolved(schema: Mapping[str, Any], document: Document) -> Mapping[str, Any]:
    name = schema.get("$ref")
    return document["components"]["schemas"][name.rpartition("/")[2]] if name else schema


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", ())
    if "anyOf" in schema:
        return set().union(*map(_kinds, schema["anyOf"]))
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _words(schema: Mapping[str, Any]) -> set[str]:
    return {str(one) for one in schema.get("enum", [schema["const"]] if "const" in schema else [])}


def _told(values: set[str]) -> str:
    return ", ".join(sorted(values))
