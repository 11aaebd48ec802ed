"""Misfits: every part of raw data that does not fit a type, by its path, without its value."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from itertools import islice, repeat
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union

import msgspec

from modd.core.field_hints import hints_of_fields, take_apart
from modd.core.masking import mask_values
from modd.core.raw_data import unknown_fields
from modd.core.schema import misfit_of

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions, from the outermost value."""

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class Misfit(NamedTuple):
    """A part of raw data that does not fit."""

    path: Path
    kind: Literal["missing", "unknown", "invalid"]
    """A field that is not there, a field that the type does not have, or a value of another type."""
    text: str


def convert_all(data: Any, hint: Any, most: int | None = None) -> tuple[Any, list[Misfit]]:
    """Return the value that raw data is made into, with no misfits; or None, with the misfits in the data.

    most: the misfits to look for; all by default.
    """
    made, misfits = _convert(data, hint, ())
    return made, [*islice(misfits, most)]


def path_steps(path: str) -> Path:
    """Return the keys and positions in a path such as ``$.lines[0].sku``."""
    return tuple(
        int(position) if position.isdigit() else name or position for name, position in _STEP.findall(path.lstrip("$"))
    )


def _convert(data: Any, hint: Any, path: Path) -> tuple[Any, Iterator[Misfit]]:
    """Return the value that raw data is made into, and its misfits, which are looked for when they are read."""
    try:
        made = msgspec.convert(data, hint, str_keys=True)
    except msgspec.ValidationError as error:
        return None, _any_of(_inner_misfits(data, hint, path), [_misfit(error, data, path)])
    except RecursionError:
        return None, iter([Misfit(path, "invalid", "Nested too deeply")])
    unknown = [*unknown_fields(made, data, hint)]
    if not unknown:
        return made, iter(())
    outside = [Misfit((*path, *path_steps(each)), "unknown", "Unknown field") for each in unknown]
    return None, _any_of(_inner_misfits(data, hint, path), outside)


def _any_of(misfits: Iterator[Misfit], otherwise: list[Misfit]) -> Iterator[Misfit]:
    first = next(misfits, None)
    if first is None:
        yield from otherwise
        return
    yield first
    yield from misfits


def _misfits(data: Any, hint: Any, path: Path) -> Iterator[Misfit]:
    return _convert(data, hint, path)[1]


def _misfit_of_whole(data: Any, hint: Any, path: Path) -> Iterator[Misfit]:
    try:
        msgspec.convert(data, hint, str_keys=True)
    except msgspec.ValidationError as error:
        yield _misfit(error, data, path)


def _misfit(error: Exception, data: Any, path: Path) -> Misfit:
    where, text = misfit_of(error, "$")
    if error.__cause__ is not None:  # a hook of the type made the text, perhaps of the value
        text = mask_values(text, data)
    return Misfit((*path, *path_steps(where)), "invalid", text)


def _inner_misfits(data: Any, hint: Any, path: Path) -> Iterator[Misfit]:
    """Yield the misfits of the fields and items in data; none if only the whole does not fit."""
    bare, origin, args, metadata, _ = take_apart(hint)
    if origin is Union:
        for kind in _members_for(data, args):
            yield from _inner_misfits(data, kind, path)
    elif not isinstance(origin, type):
        return
    elif isinstance(data, Mapping) and (issubclass(origin, msgspec.Struct) or is_dataclass(origin)):
        yield from _misfits_of_fields(data, bare, path)
    elif isinstance(data, Mapping) and issubclass(origin, Mapping) and len(args) == 2:
        for key, value in data.items():
            for misfit in _misfit_of_whole({key: None}, dict[args[0], Any], ()):  # type: ignore[valid-type]
                yield Misfit((*path, key), "invalid", misfit.text)
            yield from _misfits(value, args[1], (*path, key))
    elif isinstance(data, (list, tuple)) and issubclass(origin, Collection) and args:
        if metadata:  # such as the least number of items
            yield from _misfit_of_whole([None] * len(data), Annotated[list[Any], *metadata], path)
        kinds = args if origin is tuple and args[-1] is not ... else repeat(args[0])
        for at, (item, kind) in enumerate(zip(data, kinds, strict=False)):
            yield from _misfits(item, kind, (*path, at))


def _misfits_of_fields(data: Mapping[Any, Any], kind: Any, path: Path) -> Iterator[Misfit]:
    tag_field, tag = _tag_of(take_apart(kind).origin)
    if tag_field in data and data[tag_field] != tag:
        yield Misfit((*path, str(tag_field)), "invalid", f"Expected {tag!r}")
    known = {tag_field}
    for name, hint, is_required in _fields_of(kind):
        known.add(name)
        if name in data:
            yield from _misfits(data[name], hint, (*path, name))
        elif is_required:
            yield Misfit((*path, name), "missing", "Field required")
    for key in data:
        if key not in known:
            yield Misfit((*path, str(key)), "unknown", "Unknown field")


def _members_for(data: Any, kinds: tuple[Any, ...]) -> list[Any]:
    """Return the member of a union that data is meant for, by the name in the data; none if that cannot be told."""
    members = [kind for kind in kinds if kind is not type(None)]
    if len(members) == 1 or not isinstance(data, Mapping):
        return members if len(members) == 1 else []
    tags = {member: _tag_of(take_apart(member).origin) for member in members}
    return [member for member, (field, tag) in tags.items() if field is not None and data.get(field) == tag]


def _tag_of(kind: Any) -> tuple[str | None, Any]:
    config = getattr(kind, "__struct_config__", None)
    return (None, None) if config is None else (config.tag_field, config.tag)


def _fields_of(kind: Any) -> list[tuple[str, Any, bool]]:
    """Return the fields of a struct type or dataclass: names in data, hints, and True for those that data must have."""
    origin = take_apart(kind).origin
    if issubclass(origin, msgspec.Struct):
        return [(field.encode_name, field.type, field.required) for field in msgspec.structs.fields(kind)]
    hints = hints_of_fields(kind)
    return [
        (field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(origin)
        if field.init
    ]
