"""OpenAPI: the document that describes the commands and queries of a gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modd.cqrs.intents import result_type
from modd.gateway.exposures import Exposure
from modd.gateway.schemas import Schemas

_TEXT = {"type": "string"}
_MISFIT = {"type": "object", "properties": {"path": _TEXT, "message": _TEXT}, "required": ["path", "message"]}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {"type": "array", "items": _MISFIT},
        "id": _TEXT,
    },
    "required": ["type", "title", "status"],
}
_PROBLEM_RESPONSE = {
    "description": "A problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same for each attempt to send one command",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}
_OF_TEXT = frozenset({"array", "boolean", "integer", "null", "number", "string"})
"""Types of JSON whose values can stand in a URL."""


def openapi_document(title: str, exposures: Sequence[Exposure]) -> dict[str, Any]:
    """Return the document, in the form of OpenAPI 3.1.

    title: the title. exposures: the types that clients may send.
    """
    hints = [hint for each in exposures for hint in (each.kind, result_type(each.kind))]
    schemas = Schemas(hints, taken=["Problem"])
    for fields in schemas.of_hints[::2]:
        schemas.close(fields)
    pairs = zip(schemas.of_hints[::2], schemas.of_hints[1::2], strict=True)
    paths = {
        f"/{each.way}/{each.name}": dict(_operations(each, schemas, *pair))
        for each, pair in zip(exposures, pairs, strict=True)
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas.components | {"Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(
    exposure: Exposure, schemas: Schemas, fields: dict[str, Any], result: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the methods of a path with their operations."""
    common: dict[str, Any] = {"security": [] if exposure.is_public else [{"bearer": []}]}
    body = {"required": True, "content": {"application/json": {"schema": fields}}}
    post = {"operationId": f"{exposure.way}.{exposure.name}", "requestBody": body, **common}
    if exposure.way == "commands":
        keys = {} if exposure.is_public else {"parameters": [_KEY]}
        yield "post", post | keys | {"responses": _responses_of_command(result)}
        return
    answers = {"responses": {"200": _response("The answer", result), "default": _PROBLEM_RESPONSE}}
    yield "post", post | answers
    parameters = _parameters(schemas.resolved(fields), schemas)
    if parameters is not None:
        yield "get", {"operationId": f"queries.{exposure.name}.get", "parameters": parameters, **common, **answers}


def _responses_of_command(result: dict[str, Any]) -> dict[str, Any]:
    handled = {"type": "object", "properties": {"id": _TEXT, "result": result}, "required": ["id", "result"]}
    queued = {"type": "object", "properties": {"id": _TEXT}, "required": ["id"]}
    return {
        "200": _response("Handled", handled),
        "202": _response("Queued", queued),
        "default": _PROBLEM_RESPONSE,
    }


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameters(fields: dict[str, Any], schemas: Schemas) -> list[dict[str, Any]] | None:
    """Return the fields that can stand in a URL; None if a required field cannot."""
    properties: dict[str, Any] = fields.get("properties", {})
    required, parameters = fields.get("required", []), []
    for name, schema in properties.items():
        if _has_text(schema, schemas):
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": schema})
        elif name in required:
            return None
    return parameters


def _has_text(schema: dict[str, Any], schemas: Schemas) -> bool:
    """True if the values of a schema can stand in a URL: texts, numbers, and lists of them."""
    found = schemas.resolved(schema)
    if "anyOf" in found:
        return all(_has_text(each, schemas) for each in found["anyOf"])
    if found.get("type") == "array":
        return _has_text(found.get("items", {}), schemas)
    return "enum" in found or found.get("type") in _OF_TEXT
