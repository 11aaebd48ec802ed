"""The message types for ``--types``, with which a command decodes bodies and masks sensitive fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

from modd.cli.errors import UsageError
from modd.core import Message, Part
from modd.cqrs.codec import Codec
from modd.cqrs.intents import with_derived
from modd.cqrs.stamps import Stamp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import ModdError


def load_codecs(specs: Iterable[str]) -> list[Codec]:
    """Return codecs for the types at ``module`` or ``module:name``, the codecs of the user first.

    A name is a message type, a stamp type, a typed bus, a bus with typed buses inside, a codec, or a list of these; a
    module stands for all of these in it. Only a codec of the user can decode older versions, as it has the upcasters.

    Raises:
        UsageError: nothing usable is found, an import fails, or two types have one name.
    """
    found = [value for spec in specs for value in _load(spec)]
    types, stamps = _subclasses(found, Message), _subclasses(found, Stamp)
    codecs = [value for value in found if isinstance(value, Codec)]
    if not types:
        return codecs
    no_upcasters: dict[Any, dict[int, Any]] = {kind: {} for kind in types if kind.schema_version > 1}
    try:
        return [
            *codecs,
            *(Codec(types, stamps, format=format, upcasters=no_upcasters) for format in ("json", "msgpack")),
        ]
    except ModdError as error:
        raise UsageError(f"--types: {error}") from error


def _load(spec: str) -> list[Any]:
    module_name, _, name = spec.partition(":")
    try:
        module: Any = import_module(module_name)
        value = attrgetter(name)(module) if name else [*vars(module).values()]
    except Exception as error:  # an import runs code that may raise anything
        raise UsageError(f"--types {spec}: {type(error).__name__}: {error}; give module or module:name") from error
    found = [*_expand(value)]
    if not found:
        raise UsageError(f"--types {spec}: it has no message type, no bus and no codec; name one")
    return found


def _expand(value: Any) -> Iterator[Any]:
    """Yield the types and codecs in a value, to any depth."""
    if isinstance(value, TypedBus):
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
