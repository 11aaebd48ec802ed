"""A link: requests, messages, subscriptions."""

from __future__ import annotations

import pytest

from modd.nats import Link, NobodyThere
from tests.nats.server import NatsServer

pytestmark = pytest.mark.anyio


async def test_a_request_returns_the_answer_of_a_subscriber(nats_server: NatsServer) -> None:
    async with Link(nats_server.url, name="shop") as link, link.subscribe("test.echo") as messages:
        await link.publish("test.echo", b"first", {"Key": "välue"})
        message = await anext(messages)
        assert (message.subject, message.body, message.headers, message.reply) == (
            "test.echo",
            b"first",
            {"Key": "välue"},
            "",
        )
        await link.flush()


async def test_a_request_that_nobody_answers_raises_at_once(nats_server: NatsServer) -> None:
    async with Link(nats_server.url, name="shop") as link:
        with pytest.raises(NobodyThere, match=r"nobody subscribes to 'test.nobody'"):
            await link.request("test.nobody")
