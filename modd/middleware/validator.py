"""Validator refuses messages and results that are not valid."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
from typing import Any, ClassVar, TypedDict

from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidIntent
from modd.cqrs.stamps import Handled
from modd.errors import InvalidOption
from modd.middleware.content_check import Check, compile_check
from modd.middleware.options import MiddlewareWithOptions, checked_intents
from modd.middleware.type_check import Misfits, fields_of, find_struct_misfits


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
            kind: {name: None if check is None else compile_check(name, check) for name, check in overrides.items()}
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
