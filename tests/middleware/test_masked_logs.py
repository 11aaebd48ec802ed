"""Errors that are logged with their traceback show no sensitive content of the message at hand."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import pytest

from modd import Bus, Delivery, Observer, Sensitive
from modd.core import log_error
from modd.cqrs import Command, CommandBus, Envelope, Next
from modd.middleware import Idempotency, Logger
from modd.stores import MemoryCache

pytestmark = pytest.mark.anyio
SECRET = "4111-2222"


class Pay(Command[str]):
    card: Annotated[str, Sensitive] = SECRET


def pay(command: Pay) -> str:
    return "paid"


class Curious(Observer):
    def began(self, delivery: Delivery) -> None:
        raise ValueError(f"odd {delivery.message.card}")  # type: ignore[attr-defined]


class Full(MemoryCache):
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        raise OSError(f"no room for {SECRET}")


async def write(level: int, event: str, fields: Mapping[str, Any]) -> None:
    raise ConnectionError(f"no log of {SECRET}")


class InBackground:
    background_work = "failing"

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        envelope.bus.start(self._work, envelope)
        await call_next(envelope)

    async def _work(self, envelope: Envelope[Any]) -> None:
        raise ConnectionError(f"no way for {SECRET}")


async def fail_after(envelope: Envelope[Any], call_next: Next) -> None:
    await call_next(envelope)
    raise LookupError("too late")


CASES: dict[str, tuple[Any, str]] = {
    "observer": (lambda: CommandBus([pay]), "the observer .* failed"),
    "adapter": (lambda: CommandBus([pay], middleware=[Logger(write)]), "the log line 'processed' could not be written"),
    "background": (lambda: CommandBus([pay], middleware=[InBackground()]), "work in the background of commands failed"),
    "store": (
        lambda: CommandBus([pay], middleware=[Idempotency(store=Full()), fail_after]),
        "the result of Pay was not stored",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_error_that_is_logged_shows_no_sensitive_content(case: str, caplog: pytest.LogCaptureFixture) -> None:
    # DF-8
    make, told = CASES[case]
    async with Bus([make()]) as bus:
        with bus.observe(Curious() if case == "observer" else Observer()):
            try:
                await bus.ask(Pay())
            except LookupError:
                assert case == "store"
    assert any(told.split(" .* ")[0] in record.getMessage() for record in caplog.records)
    assert SECRET not in caplog.text and "***" in caplog.text and "Traceback" in caplog.text


async def test_an_error_without_sensitive_content_is_logged_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    error = LookupError("no account")
    log_error(logging.getLogger("modd"), "it failed %d times", 2, error=error, message=Pay())
    [record] = caplog.records
    assert record.getMessage() == "it failed 2 times" and record.exc_info is not None and record.exc_info[1] is error


async def test_a_traceback_that_cannot_be_made_is_logged_as_the_text_of_its_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Untraceable(LookupError):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise RuntimeError

    log_error(logging.getLogger("modd"), "it failed", error=Untraceable(SECRET), message=Pay())
    assert caplog.records[0].getMessage() == "it failed\nUntraceable: ***"
