"""The types that a command is told of, so that it can show messages without what is sensitive in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

from modd.cli.errors import Misuse
from modd.core import Message, Part
from modd.cqrs.codec import Codec
from modd.cqrs.intents import with_derived
from modd.cqrs.stamps import Stamp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import ModdError


def codecs_of(specs: Iterable[str]) -> list[Codec]:
    """Codecs for what ``module`` or ``module:name`` stand for, the user's own first; none for no specs.

    A name may stand for a type of messages or stamps, a typed bus, a bus with some inside, a codec, or a list of such;
    a module for all of these in it. Data of older versions is read by a codec that is given, as it has the upcasters.
    Raises `Misuse`, also for types that do not go together.
    """
    found = [each for spec in specs for each in _found(spec)]
    types, stamps = _of(found, Message), _of(found, Stamp)
    own = [each for each in found if isinstance(each, Codec)]
    if not types:
        return own
    older: dict[Any, dict[int, Any]] = {kind: {} for kind in types if kind.schema_version > 1}
    try:
        return [*own, *(Codec(types, stamps, format=format, upcasters=older) for format in ("json", "msgpack"))]
    except ModdError as error:
        raise Misuse(f"--types: {error}") from error


def _found(spec: str) -> list[Any]:
    module, _, name = spec.partition(":")
    try:
        there: Any = import_module(module)
        given = attrgetter(name)(there) if name else [*vars(there).values()]
    except Exception as error:  # an import runs code that may raise anything
        raise Misuse(f"--types {spec}: {type(error).__name__}: {error}; give module or module:name") from error
    found = [*_each(given)]
    if not found:
        raise Misuse(f"--types {spec}: no types of messages, no bus and no codec is there; name some")
    return found


def _each(given: Any) -> Iterator[Any]:
    """Types and codecs in what was given, to any depth."""
    if isinstance(given, TypedBus):
        yield from with_derived(given.types)
        yield from (kind for each in given.middleware for kind in getattr(each, "stamps", ()))
    elif isinstance(given, Part):
        yield from _each(given.components)
    elif isinstance(given, (list, tuple)):
        for part in given:
            yield from _each(part)
    elif isinstance(given, Codec) or _is_kind(given):
        yield given


def _is_kind(given: Any) -> bool:
    """Whether it is a type of messages or stamps, and none of modd's own, which are the bases of these."""
    is_type = isinstance(given, type) and issubclass(given, (Message, Stamp))
    return is_type and given.__module__.partition(".")[0] != "modd"


def _of(found: Iterable[Any], base: type[Any]) -> list[Any]:
    return [*dict.fromkeys(each for each in found if isinstance(each, type) and issubclass(each, base))]
