"""Schemas: the JSON schemas of exposed types, for the documents that describe a gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modd.cqrs.intents import result_type
from modd.gateway.exposures import Exposure, Forward

_PLACE = "#/components/schemas/"
_AS_THEY_ARE = frozenset({"const", "description", "enum", "examples", "title"})
"""Parts of a schema that are texts and values, and no schemas."""


class Schemas:
    """The JSON schemas of types, and of the types in their fields, by names without modules.

    Defaults are left out, because those of sensitive fields are secret. The name of a type is left out, too, because
    clients need not send it.

    hints: the types.
    taken: names that no type gets.
    """

    def __init__(self, hints: Sequence[Any], taken: Sequence[str] = ()) -> None:
        references, found = msgspec.json.schema_components(list(hints), ref_template=_PLACE + "{name}")
        self._names = _short_names(found, taken)
        self.components: dict[str, Any] = {self._names[name]: self._public(each) for name, each in found.items()}
        """The schemas by name."""
        self.of_hints: list[dict[str, Any]] = [self._public(each) for each in references]
        """The schema of each type, in their order: a reference, or a schema without a name."""

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema, or the schema that it refers to."""
        resolved: dict[str, Any] = self.components[schema["$ref"].removeprefix(_PLACE)] if "$ref" in schema else schema
        return resolved

    def close(self, schema: Any) -> None:
        """Allow no unknown fields in a schema, and in those within it: a gateway takes none."""
        if isinstance(schema, list):
            for each in schema:
                self.close(each)
        elif isinstance(schema, dict):
            found = self.resolved(schema)
            if found.get("additionalProperties") is not False:
                self._close_object(found)

    def _close_object(self, schema: dict[str, Any]) -> None:
        fields: dict[str, Any] = schema.get("properties", {})
        if "properties" in schema:
            schema["additionalProperties"] = False
        others = [value for key, value in schema.items() if key not in {"properties", *_AS_THEY_ARE}]
        self.close([*fields.values(), *others])

    def _public(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {key: self._part(key, value) for key, value in schema.items() if key != "default"}

    def _part(self, key: str, value: Any) -> Any:
        """Return the value of a key in a schema, with short names and without the name of the type."""
        if key in _AS_THEY_ARE:
            return value
        if key == "required":
            return [each for each in value if each != "$type"]
        if key in ("$ref", "mapping"):
            return self._renamed(value) if key == "$ref" else {tag: self._renamed(each) for tag, each in value.items()}
        if key == "properties":
            return {name: self._public(each) for name, each in value.items() if name != "$type"}
        if isinstance(value, list):
            return [self._public(each) for each in value]
        return self._public(value) if isinstance(value, dict) else value

    def _renamed(self, reference: str) -> str:
        return _PLACE + self._names[reference.removeprefix(_PLACE)]


def faults_of_schemas(exposures: Sequence[Exposure], forwards: Sequence[Forward]) -> Iterator[str]:
    """Yield the faults of types that have no JSON schema."""
    hinted = [(each.label, [each.kind, result_type(each.kind)]) for each in exposures]
    hinted += [(each.label, list(each.types)) for each in forwards]
    for label, hints in hinted:
        try:
            msgspec.json.schema_components(hints)
        except TypeError:
            yield f"{label}: a type in its fields or its result has no JSON schema, so leave out describe=True"


def _short_names(names: Sequence[str] | dict[str, Any], taken: Sequence[str]) -> dict[str, str]:
    """Return a name without its module for each name; with a number where that is taken."""
    short: dict[str, str] = {}
    for name in names:
        last, number = name.rpartition(".")[2], 1
        found = last
        while found in taken or found in short.values():
            number += 1
            found = f"{last}{number}"
        short[name] = found
    return short
