"""Validator: only what is valid gets in, and out (MI-53)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from inspect import isawaitable
from types import UnionType
from typing import Any, ClassVar, NewType, TypeAlias, TypedDict, get_origin

import msgspec

from modd.core import Message, misfit_of
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidIntent, text_of
from modd.cqrs.stamps import Handled
from modd.errors import InvalidOption
from modd.middleware.extras import MissingExtra
from modd.middleware.options import Options, checked_intents
from modd.middleware.type_check import NATIVE, Errors, fields_of, struct_misfits

Check: TypeAlias = Callable[[Any, str], Errors | Awaitable[Errors]]
"""Gives what is wrong with a value that is found at a path."""


class ValidatorOptions(TypedDict, total=False):
    """What may differ by type in a `Validator`: each a predicate, a type for msgspec, a JSON schema, or None."""

    input: Any
    """What a message has to be; by default its fields have to fit their types."""
    output: Any
    """What each result has to be; by default anything."""


class Validator:
    """Lets only valid messages through, and only valid results back; else raises `InvalidIntent` (MI-53).

    Without options the fields of each message are held to their types, those of structs in it too: nothing else does
    that for a message that was made in Python and not decoded. Give it before what queues.

    intents: by type, ``input`` and ``output``, each one of

    - a predicate of the message, or of the result, sync or async: false or an `Exception` means not valid,
    - a type that msgspec could convert the content to: a struct, ``Annotated[int, Meta(ge=0)]``, a typed dictionary,
    - a JSON schema as a mapping, which the content has to fit as JSON; needs ``modd[jsonschema]``. It is compiled at
      once; references to elsewhere are not followed,
    - None for no check.

    Every result is checked. The paths in ``InvalidIntent.errors`` start with ``$`` for the message and ``result`` (or
    ``results[0]``) for results; values are not in the messages. Raises `InvalidOption`, `MissingExtra`, and
    `NoHandler` when the bus is checked.
    """

    role: ClassVar[str] = "validator"
    """What it is for in the rules of order: not inside of what queues."""

    def __init__(self, intents: Mapping[type[Message], ValidatorOptions] = {}) -> None:
        given = checked_intents("Validator", intents).items()
        checks = {kind: {name: _made(name, check) for name, check in each.items()} for kind, each in given}
        self._options = Options("Validator", ValidatorOptions, {"input": _fields, "output": None}, checks)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus lacks, `InvalidOption` for fields of unknown types."""
        self._options.check_types(bus)
        for kind in bus.types:
            if self._options.of(kind).get("input") is _fields:
                _check_fields(kind)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Check the message, go on, and check every result."""
        kind = type(envelope.message)
        options = self._options.of(kind)
        await _hold(kind, options.get("input"), {"$": envelope.message})
        await call_next(envelope)
        results = [stamp.result for stamp in envelope.all(Handled)]
        named = {"result": results[0]} if len(results) == 1 else {f"results[{at}]": it for at, it in enumerate(results)}
        await _hold(kind, options.get("output"), named)


async def _hold(kind: type[Message], check: Check | None, values: Mapping[str, Any]) -> None:
    errors: Errors = []
    for path, value in values.items() if check is not None else ():
        found = check(value, path) if check is not None else []
        errors += await found if isawaitable(found) else found
    if errors:
        raise InvalidIntent(kind, errors)


def _made(option: str, given: Any) -> Check | None:
    """The check that was given as an option."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return _of_schema(option, given)
    if isinstance(given, (type, UnionType, NewType)) or get_origin(given) is not None:
        return _of_type(option, given)
    if not callable(given):
        raise InvalidOption(option, given, "give a predicate, a type for msgspec, a JSON schema as a mapping, or None")
    return _of_predicate(given)


def _check_fields(kind: type[Message]) -> None:
    try:
        fields_of(kind)
    except NameError as error:
        wanted = f"the types of its fields cannot be found ({error}); give them at module level, or an input for it"
        raise InvalidOption("Validator", kind.__qualname__, wanted) from error


def _fields(message: Any, path: str) -> Errors:
    return struct_misfits(message, path)


def _of_predicate(predicate: Callable[[Any], Any]) -> Check:
    async def check(value: Any, path: str) -> Errors:
        try:
            fits = predicate(value)
            if isawaitable(fits):
                fits = await fits
        except Exception as error:
            return [(path, text_of(error))]
        return [] if fits else [(path, "it is not valid")]

    return check


def _of_type(option: str, kind: Any) -> Check:
    try:
        msgspec.json.Decoder(kind)
    except TypeError as error:
        raise InvalidOption(option, kind, f"msgspec cannot convert to it: {error}") from None

    def check(value: Any, path: str) -> Errors:
        try:
            msgspec.convert(_content(value, NATIVE), kind, builtin_types=NATIVE)
        except (msgspec.ValidationError, TypeError) as error:
            return [misfit_of(error, path)]
        return []

    return check


def _of_schema(option: str, schema: Mapping[str, Any]) -> Check:
    try:
        jsonschema = import_module("jsonschema_rs")
    except ImportError:
        raise MissingExtra("a JSON schema in a Validator", "jsonschema") from None
    try:  # messages tell of "value" in place of the value, which may be nobody's business
        validator = jsonschema.validator_for(dict(schema), mask="value", retriever=_refuse)
    except ValueError as error:
        raise InvalidOption(option, schema, f"it is no JSON schema that works: {error}") from None

    def check(value: Any, path: str) -> Errors:
        try:
            errors = validator.iter_errors(_content(value))
        except (TypeError, ValueError) as error:
            return [(path, str(error))]
        return [(_path(path, error.instance_path), error.message) for error in errors]

    return check


def _content(value: Any, native: tuple[type, ...] = ()) -> Any:
    """What a message or result holds, as plain values, without the name of the message type."""
    content = msgspec.to_builtins(value, builtin_types=native, str_keys=not native)
    if isinstance(value, Message):
        del content[value.__struct_config__.tag_field]
    return content


def _path(start: str, steps: list[str | int]) -> str:
    return start + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _refuse(address: str) -> Any:
    raise ValueError(f"references are not followed: {address}")
