"""The message types for ``--types``, with which a command decodes bodies and masks sensitive fields; other imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

from modd.aggregate import Aggregate
from modd.catalog import Catalog, describe_parts
from modd.catalog.parts import outermost_parts
from modd.cli.errors import UsageError
from modd.core import Message, Part, inside
from modd.cqrs.codec import Codec
from modd.cqrs.intents import with_derived
from modd.cqrs.stamps import Stamp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption, ModdError


def load_codecs(specs: Iterable[str]) -> list[Codec]:
    """Return codecs for the types at ``module`` or ``module:name``, the codecs of the user first.

    A name is a message type, a stamp type, a typed bus, an aggregate, a bus with these inside, a codec, or a list of
    these; a module stands for all of these in it. Only a codec of the user, or one of an aggregate, can decode older
    versions, as it has the upcasters.

    Raises:
        UsageError: nothing usable is found, an import fails, or two types have one name.
    """
    found = [value for spec in specs for value in _load(spec)]
    types, stamps = _subclasses(found, Message), _subclasses(found, Stamp)
    codecs = [value for value in found if isinstance(value, Codec)]
    of_events = [value.event_codec for value in found if isinstance(value, Aggregate)]
    if not types:
        return codecs
    no_upcasters: dict[Any, dict[int, Any]] = {kind: {} for kind in types if kind.schema_version > 1}
    try:
        return [
            *codecs,
            *(Codec(types, stamps, format=format, upcasters=no_upcasters) for format in ("json", "msgpack")),
            *of_events,  # last, because they know no stamps
        ]
    except ModdError as error:
        raise UsageError(f"--types: {error}") from error


def load_aggregate(spec: str, stream: str) -> Aggregate[Any]:
    """Return the aggregate of a stream: the one at ``module:name``, or the one of this name in a bus or module there.

    Raises:
        UsageError: there is none, its streams are named otherwise, or its states are not those of a stream.
    """
    found = {each.name: each for each in _aggregates_in(import_value("--aggregate", spec))}
    name = aggregate_of(stream)
    if name not in found:
        names = ", ".join(found) or "no aggregate"
        raise UsageError(f"--aggregate {spec}: the stream {stream} is one of {name!r}, and there is: {names}")
    if found[name].identity is None:
        raise UsageError(f"--aggregate {spec}: {name} has a boundary, and no state for a stream; give --types")
    return found[name]


def aggregate_of(stream: str) -> str:
    """Return the name of the aggregate in the name of a stream, as ``invoice/7`` or ``~tenant/invoice/7``."""
    return (stream.partition("/")[2] if stream.startswith("~") else stream).partition("/")[0]


def load_catalog(spec: str) -> Catalog:
    """Return the catalog of the part or the list of parts at ``module:name``, or of the outermost parts in a module.

    Raises:
        UsageError: there is none.
    """
    value = import_value("catalog", spec)
    parts = [value] if ":" in spec else outermost_parts(value)
    try:
        return describe_parts(*parts)
    except InvalidOption as error:
        raise UsageError(f"catalog {spec}: {error}") from error


def import_value(option: str, spec: str) -> Any:
    """Return the value at ``module:name``, or the values in a module. Raises `UsageError`."""
    module_name, _, name = spec.partition(":")
    try:
        module: Any = import_module(module_name)
        return attrgetter(name)(module) if name else [*vars(module).values()]
    except Exception as error:  # an import runs code that may raise anything
        raise UsageError(f"{option} {spec}: {type(error).__name__}: {error}; give module or module:name") from error


def _load(spec: str) -> list[Any]:
    found = [*_expand(import_value("--types", spec))]
    if not found:
        raise UsageError(f"--types {spec}: it has no message type, no bus and no codec; name one")
    return found


def _aggregates_in(value: Any) -> Iterator[Aggregate[Any]]:
    if isinstance(value, (list, tuple)):
        for element in value:
            yield from _aggregates_in(element)
    elif isinstance(value, Part):
        yield from (each for each in inside(value) if isinstance(each, Aggregate))


def _expand(value: Any) -> Iterator[Any]:
    """Yield the types and codecs in a value, to any depth."""
    if isinstance(value, TypedBus):
        if isinstance(value, Aggregate):
            yield from (value, *value.event_functions)
        yield from with_derived(value.types)
        yield from (kind for middleware in value.middleware for kind in getattr(middleware, "stamps", ()))
    elif isinstance(value, Part):
        yield from _expand(value.components)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _expand(element)
    elif isinstance(value, Codec) or _is_own_type(value):
        yield value


def _is_own_type(value: Any) -> bool:
    """True for a type of messages or stamps of the user; those of modd are only their bases."""
    is_type = isinstance(value, type) and issubclass(value, (Message, Stamp))
    return is_type and value.__module__.partition(".")[0] != "modd"


def _subclasses(found: Iterable[Any], base: type[Any]) -> list[Any]:
    return [*dict.fromkeys(value for value in found if isinstance(value, type) and issubclass(value, base))]
