"""Schemas: messages as JSON schemas and as pydantic models. Pydantic is imported when it asks for one."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import msgspec

from modd.core.raw_data import unknown_fields

_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*", re.DOTALL)


def pydantic_schema(kind: type[msgspec.Struct]) -> Any:
    """Return a pydantic core schema that converts a struct type by msgspec, both ways."""
    core = import_module("pydantic_core.core_schema")
    return core.no_info_plain_validator_function(
        lambda data: _convert(kind, data),
        serialization=core.plain_serializer_function_ser_schema(_to_builtins),
    )


def misfit_of(error: Exception, path: str) -> tuple[str, str]:
    """Return the path and text of msgspec's error about a value that does not fit, without the value: it may be secret.

    path: the path of the value that msgspec calls ``$``.
    """
    said = str(error)
    text, found, where = said.rpartition(" - at `")  # then: $.sizes`, or: key` in `$.sizes`
    inner = where.rpartition("`$")[2] if "`$" in where else where.removeprefix("$")
    message = text if found else said
    return path + inner.rstrip("`") if found else path, _VALUE.sub(r"\1", message)


def _to_builtins(value: Any) -> Any:
    return msgspec.to_builtins(value, str_keys=True)


def _convert(kind: type[msgspec.Struct], data: Any) -> Any:
    if isinstance(data, kind):
        return data
    made = msgspec.convert(data, kind, str_keys=True)
    unknown = [*unknown_fields(made, data, kind)]
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(unknown)}")
    return made


def json_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON schema of a struct type in one piece; the tag is optional in data."""
    (whole,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    inlined: dict[str, Any] = _inlined(whole, parts, ())
    return inlined


def _inlined(schema: Any, parts: dict[str, Any], around: tuple[str, ...]) -> Any:
    """Return a schema with every reference replaced by its target; a type inside itself is any object."""
    if isinstance(schema, list):
        return [_inlined(each, parts, around) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref")
    if name is not None:
        return {"type": "object"} if name in around else _inlined(parts[name], parts, (*around, name))
    inlined = {key: _inlined(value, parts, around) for key, value in schema.items()}
    if isinstance(inlined.get("required"), list):
        inlined["required"] = [field for field in inlined["required"] if field != "$type"]
    return inlined
