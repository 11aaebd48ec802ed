"""Messages as pydantic models: schemas by which pydantic converts and documents them. It is imported when it asks."""

from __future__ import annotations

from functools import cached_property, partial
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import msgspec

from modd.core.field_hints import take_apart
from modd.core.misfits import Misfit, convert_all
from modd.core.plain_data import plain_data


def pydantic_schema(hint: Any) -> Any:
    """Return a pydantic core schema that converts a struct type, or a union of them, by msgspec, both ways."""
    core = import_module("pydantic_core.core_schema")
    probe = core.model_schema(_Expected, core.model_fields_schema({}))
    return core.no_info_plain_validator_function(
        _converter(hint),
        serialization=core.wrap_serializer_function_ser_schema(partial(_serialize, hint), schema=probe),
    )


def _converter(hint: Any) -> Any:
    def convert(data: Any) -> Any:
        return _convert(hint, data)

    convert.__name__ = _name(hint)  # pydantic shows it in errors
    return convert


def _convert(hint: Any, data: Any) -> Any:
    if isinstance(data, msgspec.Struct) and _is_one_of(data, hint):
        return data
    made, misfits = convert_all(data, hint)
    if misfits:
        core = import_module("pydantic_core")
        raise core.ValidationError.from_exception_data(_name(hint), [_line(core, misfit) for misfit in misfits])
    return made


def _name(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or str(hint)


def _is_one_of(value: Any, hint: Any) -> bool:
    _, origin, args, *_ = take_apart(hint)
    return isinstance(value, origin) if isinstance(origin, type) else any(_is_one_of(value, kind) for kind in args)


def _line(core: Any, misfit: Misfit) -> dict[str, Any]:
    """Return a misfit as pydantic takes it, without the input, which may be secret."""
    kind = {"missing": "missing", "unknown": "extra_forbidden"}.get(misfit.kind)
    return {"type": kind or core.PydanticCustomError("invalid", misfit.text), "loc": misfit.path, "input": None}


class _Expected:
    """A class that no value has."""


class _Other:
    """A class of objects that pydantic lets pass for an `_Expected` wherever it does not choose from a union."""


def _serialize(hint: Any, value: Any, probe: Any) -> Any:
    unexpected = import_module("pydantic_core").PydanticSerializationUnexpectedValue
    try:
        probe(_Other())
    except unexpected:  # pydantic compares classes only to choose from a union, and no serializer is told otherwise
        if not _is_one_of(value, hint):
            raise
        return plain_data(value, hint, named=True)
    return plain_data(value, hint, named=False)


def with_components(schema: Any, kind: Any, handler: Any) -> Any:
    """Return a core schema that is documented by name, as are the types in the fields of its type.

    handler: the ``GetCoreSchemaHandler`` of pydantic.
    """
    core, table = import_module("pydantic_core.core_schema"), _Components([kind])
    others = [
        handler.generate_schema(Annotated[object, _Component(table, each)]) | {"ref": _ref(each)}
        for each in table.kinds
        if each != kind
    ]
    more = {"components": table, "kind": kind, "others": core.definitions_schema(core.any_schema(), others)}
    return schema | {"ref": _ref(kind), "metadata": {"modd": more}}


def json_schema(schema: Any, handler: Any) -> Any:
    """Return the JSON schema for the core schema of a message, with references to the types in its fields.

    handler: the ``GetJsonSchemaHandler`` of pydantic.
    """
    more = schema["metadata"]["modd"]
    handler(more["others"])
    return more["components"].schema_of(more["kind"], handler)


class _Components:
    """Types, and all types in their fields, with their JSON schemas."""

    def __init__(self, kinds: list[Any]) -> None:
        found: dict[Any, None] = {}
        for info in msgspec.inspect.multi_type_info(kinds):
            _find_kinds(info, found)
        self.kinds = [*found]

    @cached_property
    def by_name(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The types, and their JSON schemas, by their names in these schemas."""
        references, schemas = msgspec.json.schema_components(self.kinds, ref_template="{name}")
        return {each["$ref"]: kind for each, kind in zip(references, self.kinds, strict=True)}, schemas

    def schema_of(self, kind: Any, handler: Any) -> Any:
        kinds, schemas = self.by_name
        name = next(name for name, each in kinds.items() if each == kind)
        return self._linked(schemas[name], handler)

    def _linked(self, schema: Any, handler: Any) -> Any:
        """Return a schema with references as pydantic makes them; the name of a type is optional in data."""
        if isinstance(schema, list):
            return [self._linked(each, handler) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._reference(schema["$ref"], handler)
        linked = {key: self._linked(value, handler) for key, value in schema.items()}
        if isinstance(linked.get("required"), list):
            linked["required"] = [field for field in linked["required"] if field != "$type"]
        if "discriminator" in linked and "mapping" in linked["discriminator"]:
            names = linked["discriminator"]["mapping"].items()
            mapping = {tag: self._reference(name, handler)["$ref"] for tag, name in names}
            linked["discriminator"] = linked["discriminator"] | {"mapping": mapping}
        return linked

    def _reference(self, name: str, handler: Any) -> Any:
        core = import_module("pydantic_core.core_schema")
        return handler(core.definition_reference_schema(_ref(self.by_name[0][name])))


class _Component(NamedTuple):
    """A mark for pydantic: a type that is documented by the schema in a table."""

    table: _Components
    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return import_module("pydantic_core.core_schema").any_schema()

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return self.table.schema_of(self.kind, handler)


def _find_kinds(info: Any, found: dict[Any, None]) -> None:
    """Find the types that have a JSON schema of their own, in a type as msgspec describes it."""
    if isinstance(info, (list, tuple)):
        for each in info:
            _find_kinds(each, found)
    elif isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)):
        kind = getattr(info, "cls", None)
        if kind in found:
            return
        if isinstance(info, _WITH_NAMES):
            found[kind] = None
        for part in (getattr(info, name) for name in info.__struct_fields__):
            _find_kinds(part, found)


_WITH_NAMES = (
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.TypedDictType,
    msgspec.inspect.EnumType,
)


def _ref(kind: Any) -> str:
    """Return the text by which pydantic knows a type: its place, and the types that it is generic in."""
    _, origin, args, *_ = take_apart(kind)
    place = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', origin)}:{id(origin)}"
    return f"{place}[{','.join(map(_ref, args))}]" if args else place
