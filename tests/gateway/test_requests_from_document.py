"""Requests that schemathesis makes from the OpenAPI document of a gateway: none is an internal error."""

from __future__ import annotations

import os
from typing import Any

import anyio
import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

from tests.gateway.shop import Shop

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 5
"""Requests of each kind for each operation."""
SLOW_OR_FILTERED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
MODES = {
    ("/commands/place-order", "post"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ("/commands/ping", "post"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ("/commands/mail", "post"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ("/queries/get-order", "get"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ("/queries/get-order", "post"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ("/queries/prices", "get"): [GenerationMode.POSITIVE],
    ("/queries/prices", "post"): [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
}
"""By operation, whether its requests fit the document; without parameters there is no GET that does not."""


class Sender:
    """Sends requests of schemathesis to a gateway, as the actor Ada."""

    def __init__(self) -> None:
        self.app: Any = Shop().gateway(describe=True).asgi

    async def document(self) -> Any:
        async with self._client() as anyone:
            return (await anyone.get("/openapi.json")).json()

    async def send(self, case: Case[Any]) -> httpx2.Response:
        wanted = case.as_transport_kwargs(base_url="http://shop")
        sent = {key: wanted[key] for key in ("params", "json", "content") if wanted.get(key) is not None}
        headers = {name: value for name, value in wanted["headers"].items() if name.lower() != "authorization"}
        headers |= {"Authorization": "Bearer ada:customer"}
        async with self._client() as ada:
            return await ada.request(wanted["method"], wanted["url"], headers=headers, **sent)

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://shop")


@pytest.mark.parametrize("mode", [*GenerationMode], ids=lambda mode: mode.value)
def test_no_request_that_is_made_from_the_document_is_an_internal_error(mode: GenerationMode) -> None:
    # GW-54
    sender = Sender()
    document = anyio.run(sender.document)
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {*MODES}
    schema = schemathesis.openapi.from_dict(document)
    for (path, method), modes in MODES.items():
        if mode in modes:

            @settings(max_examples=EXAMPLES, suppress_health_check=SLOW_OR_FILTERED, database=None)
            @given(schema[path][method].as_strategy(generation_mode=mode))
            def send(case: Case[Any]) -> None:
                response = anyio.run(sender.send, case)
                assert response.status_code < 500, response.text
                if mode is GenerationMode.POSITIVE and response.status_code == 422:
                    messages = [error["message"] for error in response.json()["errors"]]
                    assert {*messages} == {"Expected `int`, got `float`"}  # a whole float is an integer in JSON schema

            send()
