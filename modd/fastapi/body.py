"""The body of a request as a message."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar, Union

import fastapi

from modd.core import Message, pydantic_schema, take_apart

T = TypeVar("T")


class _Whole:
    """A mark for pydantic: a union of message types is converted as a whole, by the ``$type`` in the data."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return the schema of a union of messages; of any other type, that of pydantic."""
        schema = handler(source)
        _, origin, args, *_ = take_apart(source)
        if origin is not Union or not all(_is_message(kind) for kind in args):
            return schema
        return pydantic_schema(source) | {"json_schema_input_schema": schema}


def _is_message(kind: Any) -> bool:
    origin = take_apart(kind).origin
    return isinstance(origin, type) and issubclass(origin, Message)


Body: TypeAlias = Annotated[T, _Whole(), fastapi.Body()]
"""The type of a parameter that takes the body of a request: ``order: Body[PlaceOrder]``."""
