"""What an operation may refuse: read from the code that answers it, so that no list has to be kept by hand.

Every name a function uses is followed: functions, methods of classes it knows, tables of functions, refusals. What is
found is what can be raised, perhaps with something that never is; the tests hold every answer against it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from exchange.errors import Refusal
from exchange.http import Call
from exchange.services import Services

OURS = ("exchange.", "ledger.", "scoring.")
AT_THE_DOOR = (Call, Services, Refusal)
"""What every view is given: following it would lead everywhere."""


def refusals(view: Callable[..., Any]) -> frozenset[type[Refusal]]:
    """The refusals that `view`, and all it calls, may raise."""
    seen: set[Any] = set()
    todo: list[Any] = [inspect.unwrap(view)]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += _used(one)
    return frozenset(one for one in seen if inspect.isclass(one) and issubclass(one, Refusal))


@cache
def _used(one: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a function or a class
    """What a function or a class of ours leads to."""
    if inspect.isclass(one):
        members = () if issubclass(one, AT_THE_DOOR) else vars(one).values()
        return tuple(found for member in members for found in _followed(member))
    names = set(_names(one.__code__))
    scope: Mapping[str, Any] = one.__globals__
    reached = [scope[name] for name in names if name in scope]
    modules = [value for value in reached if isinstance(value, ModuleType) and _is_ours(value.__name__)]
    reached += [vars(module)[name] for module in modules for name in names if name in vars(module)]
    reached += [cell.cell_contents for cell in one.__closure__ or ()] + list(one.__annotations__.values())
    return tuple(found for value in reached for found in _followed(value))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _followed(value: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever a name stands for
    """The functions and classes of ours in a value: itself, what it wraps, or what it holds."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    elif isinstance(value, partial):
        value = value.func
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for below in value:
            yield from _followed(below)
        return
    if isinstance(value, FunctionType):
        value = inspect.unwrap(value)
    if isinstance(value, FunctionType | type) and _is_ours(f"{value.__module__}."):
        yield value


def _is_ours(module: str) -> bool:
    return module.startswith(OURS)
