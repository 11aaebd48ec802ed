"""AsyncAPI: the document that describes the events that clients of a gateway hear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.gateway.exposures import Forward
from modd.gateway.schemas import Schemas


def asyncapi_document(title: str, forwards: Sequence[Forward]) -> dict[str, Any]:
    """Return the document, in the form of AsyncAPI 3.0: a channel for each forward, whose address is not fixed.

    title: the title. forwards: the types that clients may hear.
    """
    schemas = Schemas([kind for each in forwards for kind in each.types])
    payloads = iter(schemas.of_hints)
    channels, operations = {}, {}
    for number, each in enumerate(forwards, 1):
        channel = f"events-{number}"
        channels[channel] = {
            "address": None,
            "description": "The channels that the gateway chooses for each of these events",
            "messages": {name: _message(name, next(payloads)) for name in each.names.values()},
        }
        operations[f"send-{channel}"] = {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": "1"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas.components},
    }


def _message(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "payload": payload}
