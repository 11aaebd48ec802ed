"""A client waits for a queued command, and a worker fails: the status and the text that the client gets."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest

from modd.aggregate import CommandRejected
from modd.cqrs import Forbidden, GiveUp
from modd.gateway import Gateway
from modd.stores import MemoryFeed
from modd.worker import Worker
from tests.gateway.shop import ADA, EmailTaken, SendMail, Shop, client

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

WAIT = ADA | {"Prefer": "wait=30", "Idempotency-Key": "k"}


class EmailRefused(EmailTaken):
    """An error with a base that has a status."""


class NoDisk(OSError):
    """An error whose text may have a path."""


class SoldOut(CommandRejected):
    """A rejection with a status of its own."""


class Busy(Exception):
    """An error after which another attempt makes sense."""


ERRORS: dict[type[Exception], int] = {EmailTaken: 409, NoDisk: 507, GiveUp: 410, SoldOut: 410, Busy: 503, KeyError: 500}


async def answer_of(gateway: Gateway, shop: Shop, feed: MemoryFeed) -> httpx2.Response:
    """Return the response to a command that a worker handles once it is queued."""
    answers: list[httpx2.Response] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, client(gateway, **WAIT) as ada:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()

            async def send() -> None:
                answers.append(await ada.post("/commands/mail", json={"to": "eve@example.com"}))
                gateway.stop()

            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            await Worker(shop.queue, shop.bus, outcomes=feed, attempts=1, poll=0.01).run_until_idle()
    return answers[0]


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (EmailTaken("eve@example.com has one"), 409, "*** has one"),
        (EmailRefused("no"), 409, "no"),
        (NoDisk("/var/mail"), 507, None),
        (GiveUp("the box is full"), 410, "the box is full"),
        (CommandRejected("no"), 409, "no"),
        (SoldOut("no"), 410, "no"),
        (Busy("later"), 503, "later"),
        (ValueError("secret"), 500, None),
        (KeyError("secret"), 500, None),
        (Forbidden(SendMail, "ada", "secret"), 500, None),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_failure_in_a_worker_has_the_status_and_the_text_that_errors_gives_it(
    error: Exception, status: int, detail: str | None
) -> None:
    # GW-63
    shop, feed = Shop(), MemoryFeed()
    shop.mail_error = error
    answer = await answer_of(shop.gateway(feed=feed, errors=ERRORS), shop, feed)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body.get("detail")) == (status, status, detail)
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)
    assert body.get("id") == ("ada:k" if status == 500 else None)
