"""Raw data beside the types that it is made into: unknown fields, and paths and texts of errors without values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

import msgspec

_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*", re.DOTALL)


def misfit_of(error: Exception, path: str) -> tuple[str, str]:
    """Return the path and text of msgspec's error about a value that does not fit, without the value: it may be secret.

    path: the path of the value that msgspec calls ``$``.
    """
    said = str(error)
    text, found, where = said.rpartition(" - at `")  # then: $.sizes`, or: key` in `$.sizes`
    inner = where.rpartition("`$")[2] if "`$" in where else where.removeprefix("$")
    message = text if found else said
    return path + inner.rstrip("`") if found else path, _VALUE.sub(r"\1", message)


def unknown_fields(made: Any, raw: Any, path: str = "$") -> Iterator[str]:
    """Yield the paths in raw data that no field was made of, because the struct or dataclass does not have them."""
    names = _fields_of(made)
    if names is not None and isinstance(raw, Mapping):
        for key, value in raw.items():
            if key in names:
                yield from unknown_fields(getattr(made, names[key]), value, f"{path}.{key}")
            elif key != _tag_of(made):
                yield f"{path}.{key}"
    elif isinstance(made, Mapping) and isinstance(raw, Mapping):
        by_text = {str(key): value for key, value in made.items()}
        for key, value in raw.items():
            yield from unknown_fields(by_text.get(str(key)), value, f"{path}.{key}")
    elif isinstance(raw, (list, tuple)) and isinstance(made, Set):  # which became which is not known: the best match
        for at, value in enumerate(raw):
            if isinstance(value, (Mapping, list, tuple)):
                yield from min(([*unknown_fields(one, value, f"{path}[{at}]")] for one in made), key=len)
    elif isinstance(raw, (list, tuple)) and isinstance(made, (list, tuple)):
        for at, (one, value) in enumerate(zip(made, raw, strict=False)):
            yield from unknown_fields(one, value, f"{path}[{at}]")


def _fields_of(made: Any) -> dict[str, str] | None:
    """Return the attributes of a struct or dataclass by their names in data."""
    if isinstance(made, msgspec.Struct):
        return dict(zip(made.__struct_encode_fields__, made.__struct_fields__, strict=True))
    if dataclasses.is_dataclass(made):
        return {field.name: field.name for field in dataclasses.fields(made)}
    return None


def _tag_of(made: Any) -> str | None:
    return made.__struct_config__.tag_field if isinstance(made, msgspec.Struct) else None
