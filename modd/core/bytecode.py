"""Names in the code of a function: their uses, and the message types that are made where they are called.

It is read from the bytecode, because the source of a function may be missing, and nothing of it is run.
"""

from __future__ import annotations

import dis
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, reduce
from itertools import takewhile
from types import CodeType
from typing import Any, NamedTuple

from modd.core.hints import function_of
from modd.core.message import Message

_LOOK_UP = ("LOAD_GLOBAL", "LOAD_DEREF")
"""Instructions that look up a name outside of the function."""

_BETWEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL", "RESUME")
"""Instructions that may stand between the name of a function and the name of its first argument."""

_NO_USE = ("COPY_FREE_VARS", "LOAD_CLOSURE", "LOAD_CONST", "MAKE_CELL", "RETURN_CONST")
"""Instructions that have a name without using it: those that hand it to an inner function, and texts."""


class Use(NamedTuple):
    """One use of a name.

    kind: the message type that is made in a call of the name, as in ``ask(GetUser(1))``; None if that is not known.
    alone: True if that message is the only argument.
    """

    kind: type[Message] | None
    alone: bool


def uses_of(function: Callable[..., Any], names: Sequence[str]) -> Iterator[Use]:
    """Yield each use of these names (of variables or attributes) in a function, and in the functions inside it."""
    found = function_of(function)[0]
    code = getattr(found, "__code__", None)
    if isinstance(code, CodeType):
        scope = ChainMap(_closure_of(found), found.__globals__)
        for path, alone in _uses_in(code, tuple(names)):
            yield Use(_type_at(path, scope), alone)


@lru_cache(maxsize=4096)  # to read one function takes a tenth of a millisecond, and tests open a bus again and again
def _uses_in(code: CodeType, names: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Return for each use the dotted name that is looked up next, and if it makes the only argument."""
    own = {*code.co_varnames, *code.co_names, *code.co_cellvars, *code.co_freevars}
    used = () if own.isdisjoint(names) else dis.get_instructions(code)
    instructions = [each for each in used if each.opname not in _BETWEEN]
    found: list[tuple[tuple[str, ...], bool]] = []
    for at, instruction in enumerate(instructions):
        if instruction.opname not in _NO_USE and _has_name(instruction, names):
            following = instructions[at + 1 :]
            found.append((_first_name(following), _has_one_argument(instruction, following)))
    inner = (_uses_in(each, names) for each in code.co_consts if isinstance(each, CodeType))
    return (*found, *(use for uses in inner for use in uses))


def _has_name(instruction: dis.Instruction, names: Sequence[str]) -> bool:
    value = instruction.argval
    return value in names if isinstance(value, str) else isinstance(value, tuple) and any(map(value.count, names))


def _first_name(instructions: Sequence[dis.Instruction]) -> tuple[str, ...]:
    """Return the parts of the dotted name that is looked up first; none if something else comes first."""
    if not instructions or instructions[0].opname not in _LOOK_UP:
        return ()
    attributes = takewhile(lambda each: each.opname in ("LOAD_ATTR", "LOAD_METHOD"), instructions[1:])
    return (instructions[0].argval, *(each.argval for each in attributes))


def _type_at(path: tuple[str, ...], scope: Mapping[str, Any]) -> type[Message] | None:
    """Return the message type that a dotted name stands for."""
    if not path or path[0] not in scope:
        return None
    value = reduce(lambda value, name: getattr(value, name, None), path[1:], scope[path[0]])
    return value if isinstance(value, type) and issubclass(value, Message) else None


def _has_one_argument(function: dis.Instruction, following: Sequence[dis.Instruction]) -> bool:
    """Return True if the call that begins with the name of a function has one argument."""
    start = _start_of(function)
    calls = (each for each in following if each.opname.startswith("CALL") and _start_of(each) == start)
    call = next(calls, None)
    return call is not None and start is not None and call.opname == "CALL" and call.arg == 1


def _start_of(instruction: dis.Instruction) -> tuple[int, int] | None:
    """Return line and column in the source; None if the interpreter does not keep them."""
    positions = instruction.positions
    if positions is None or positions.lineno is None or positions.col_offset is None:
        return None
    return positions.lineno, positions.col_offset


def _closure_of(function: Any) -> dict[str, Any]:
    """Return the values of the variables that a function takes from around it, as far as they have values."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not there yet
            found[name] = cell.cell_contents
    return found
