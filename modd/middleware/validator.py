"""Validator refuses messages and results that are not valid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from inspect import isawaitable
from types import UnionType
from typing import Any, ClassVar, NewType, TypeAlias, TypedDict, get_origin

import msgspec

from modd.checks import checked_callable
from modd.core import Message, misfit_of
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidIntent, text_of
from modd.cqrs.stamps import Handled
from modd.errors import InvalidOption, MissingExtra
from modd.middleware.options import MiddlewareWithOptions, checked_intents
from modd.middleware.type_check import NATIVE, Misfits, fields_of, find_struct_misfits

Check: TypeAlias = Callable[[Any, str], Misfits | Awaitable[Misfits]]
"""Takes a value and its path, and returns the parts that are not valid; sync or async."""


class ValidatorOptions(TypedDict, total=False):
    """The options of `Validator` by type: each a predicate, a type for msgspec, a JSON schema, or None for no check.

    input: the check of the message; by default its fields must fit their types.
    output: the check of each result; by default none.
    """

    input: Any
    output: Any


class Validator(MiddlewareWithOptions):
    """Lets only valid messages and valid results through, and raises `InvalidIntent` otherwise.

    Use it for messages that are made in Python, because only decoded messages are checked otherwise. By default the
    fields of a message must fit their types, fields of structs in it included. Add it outside of `Enqueue`.

    intents: by message type, the checks ``input`` and ``output``, each one of

    - a predicate of the message or the result, sync or async; false or an `Exception` means not valid,
    - a type that msgspec could convert the content to: a struct, ``Annotated[int, Meta(ge=0)]``, a typed dictionary,
    - a JSON schema as a mapping, for the content as JSON; needs ``modd[jsonschema]``. The schema is compiled at once;
      references to other documents are not followed,
    - None for no check.

    Every result is checked. Paths in ``InvalidIntent.errors`` start with ``$`` for the message and ``result`` (or
    ``results[0]``) for results; the errors do not show values.

    Raises:
        InvalidOption: a check is of no kind above, or the types of the fields of a message cannot be found.
        MissingExtra: a JSON schema is given without ``modd[jsonschema]``.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        InvalidIntent: while dispatching, if the message or a result is not valid.
    """

    role: ClassVar[str] = "validator"
    """Its name in the rules of order: outside of `Enqueue`."""

    def __init__(self, intents: Mapping[type[Message], ValidatorOptions] = {}) -> None:
        checks = {
            kind: {name: _compile(name, check) for name, check in overrides.items()}
            for kind, overrides in checked_intents("Validator", intents).items()
        }
        super().__init__(ValidatorOptions, {"input": _check_field_types, "output": None}, checks)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that is not handled, `InvalidOption` for hints not found."""
        super().check(bus)
        for kind in bus.types:
            if self._options.of(kind).get("input") is _check_field_types:
                _check_hints(kind)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Check the message, call the next link, and check every result."""
        kind = type(envelope.message)
        options = self._options.of(kind)
        await _validate(kind, options.get("input"), {"$": envelope.message})
        await call_next(envelope)
        results = [stamp.result for stamp in envelope.all(Handled)]
        named = {"result": results[0]} if len(results) == 1 else {f"results[{at}]": it for at, it in enumerate(results)}
        await _validate(kind, options.get("output"), named)


async def _validate(kind: type[Message], check: Check | None, values: Mapping[str, Any]) -> None:
    """Raise `InvalidIntent` for values, by their paths, that do not pass a check."""
    if check is None:
        return
    misfits: Misfits = []
    for path, value in values.items():
        found = check(value, path)
        misfits += await found if isawaitable(found) else found
    if misfits:
        raise InvalidIntent(kind, misfits)


def _compile(option: str, value: Any) -> Check | None:
    """Return the check for the value of an option."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _schema_check(option, value)
    if isinstance(value, (type, UnionType, NewType)) or get_origin(value) is not None:
        return _type_check(option, value)
    cure = "give a predicate, a type for msgspec, a JSON schema as a mapping, or None"
    return _predicate_check(checked_callable(option, value, cure))


def _check_hints(kind: type[Message]) -> None:
    try:
        fields_of(kind)
    except NameError as error:
        cure = (
            f"the types of its fields cannot be found ({error}); define them at module level, or give an input for it"
        )
        raise InvalidOption("Validator", kind.__qualname__, cure) from error


def _check_field_types(message: Any, path: str) -> Misfits:
    return find_struct_misfits(message, path)


def _predicate_check(predicate: Callable[[Any], Any]) -> Check:
    async def check(value: Any, path: str) -> Misfits:
        try:
            fits = predicate(value)
            if isawaitable(fits):
                fits = await fits
        except Exception as error:
            return [(path, text_of(error))]
        return [] if fits else [(path, "it is not valid")]

    return check


def _type_check(option: str, kind: Any) -> Check:
    try:
        msgspec.json.Decoder(kind)
    except TypeError as error:
        raise InvalidOption(option, kind, f"give a type that msgspec can convert to: {error}") from None

    def check(value: Any, path: str) -> Misfits:
        try:
            msgspec.convert(_content(value, NATIVE), kind, builtin_types=NATIVE)
        except (msgspec.ValidationError, TypeError) as error:
            return [misfit_of(error, path)]
        return []

    return check


def _schema_check(option: str, schema: Mapping[str, Any]) -> Check:
    try:
        jsonschema = import_module("jsonschema_rs")
    except ImportError:
        raise MissingExtra("a JSON schema in a Validator", "jsonschema") from None
    try:  # mask: error texts show "value" in place of the value, which may be a secret
        validator = jsonschema.validator_for(dict(schema), mask="value", retriever=_refuse_reference)
    except ValueError as error:
        raise InvalidOption(option, schema, f"give a valid JSON schema: {error}") from None

    def check(value: Any, path: str) -> Misfits:
        try:
            errors = validator.iter_errors(_content(value))
        except (TypeError, ValueError) as error:
            return [(path, str(error))]
        return [(_path(path, error.instance_path), error.message) for error in errors]

    return check


def _content(value: Any, native: tuple[type, ...] = ()) -> Any:
    """Return the content of a message or result as plain values, without the name of the message type."""
    content = msgspec.to_builtins(value, builtin_types=native, str_keys=not native)
    if isinstance(value, Message):
        del content[value.__struct_config__.tag_field]
    return content


def _path(start: str, steps: list[str | int]) -> str:
    return start + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _refuse_reference(address: str) -> Any:
    raise ValueError(f"references are not followed: {address}")
