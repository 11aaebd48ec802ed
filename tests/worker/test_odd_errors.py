"""Unusual errors of handlers: each message becomes a dead letter in the end, and holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import anyio
import anyio.lowlevel
import pytest

from modd import Sensitive
from modd.cqrs import Codec, Command, CommandBus, Envelope
from modd.ports import Claim, StoreError
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker
from tests.worker.desk import Pay, item, work_off

pytestmark = pytest.mark.anyio


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raising(error: BaseException) -> Callable[[Pay], None]:
    def fail(pay: Pay) -> None:
        raise error

    return fail


async def test_an_error_without_a_text_is_a_failure_like_others() -> None:
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Pay: raising(Silent())}), attempts=1))
    [dead] = await queue.dead()
    assert dead.reason == "Silent, whose text raises ValueError"


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_half_a_character_in_an_error_is_kept_by_its_number(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        queue = store.queue("a")
        await queue.put(item(Pay()))
        bus = CommandBus({Pay: raising(ValueError("no file \udcff"))})
        await Worker(queue, bus, attempts=1, max_messages=1).run()
        assert [dead.reason for dead in await queue.dead()] == ["ValueError: no file \\udcff"]


def with_notes(notes: object) -> Exception:
    error = ValueError("no")
    error.__notes__ = notes  # type: ignore[assignment]
    return error


def nested(depth: int) -> Exception:
    error: Exception = ValueError("innermost")
    for _ in range(depth):
        error = ExceptionGroup[Exception]("group", [error])
    return error


class Unshown(Exception):
    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        raise ValueError("no repr")


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError("no repr")


ODD = [
    (with_notes([{"row": 3}, "text", Unshowable()]), "{'row': 3}\ntext\n<Unshowable, whose repr raised ValueError>"),
    (with_notes(3), "ValueError: no"),
    (nested(1500), "ValueError: innermost"),
    (Unshown(), "Unshown, whose text raises ValueError"),
    (ValueError(Unshowable()), "ValueError, whose text raises ValueError"),
    (ExceptionGroup("\udcff", [Unshown(), with_notes([Unshown()])]), "<Unshown, whose repr raised ValueError>"),
]


# DR-3
@pytest.mark.unmeasured
@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(("error", "end"), ODD, ids=range(len(ODD)))
async def test_an_odd_error_is_a_failed_attempt_and_the_worker_goes_on(
    error: Exception, end: str, on_disk: bool, tmp_path: Path
) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        queue = store.queue("a") if on_disk else MemoryQueue()
        await queue.put(item(Pay()), item(Pay()))
        await Worker(queue, CommandBus({Pay: raising(error)}), attempts=2, backoff="none", max_messages=4).run()
        first, second = await queue.dead()
        assert first.attempts == second.attempts == 2
        assert first.reason.endswith(end)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "error", [BaseException("odd"), BaseExceptionGroup("some", [SystemExit(), KeyboardInterrupt()])]
)
async def test_what_ends_its_worker_counts_as_an_attempt_so_that_it_is_buried_in_the_end(error: BaseException) -> None:
    # ST-42
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    for _ in range(2):
        with pytest.raises(BaseException) as raised:  # noqa: PT011  # the loops wrap it in different ways
            await work_off(Worker(queue, CommandBus({Pay: raising(error)}), attempts=2))
        assert not isinstance(raised.value, Exception)
    await work_off(Worker(queue, CommandBus({Pay: raising(error)}), attempts=2))
    assert [dead.reason for dead in await queue.dead()] == ["it was claimed 3 times and never settled"]


async def test_an_interruption_is_no_attempt() -> None:
    error = BaseExceptionGroup("some", [KeyboardInterrupt()])  # alone it would end the loop and these tests
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    for _ in range(2):
        with pytest.raises(BaseException) as raised:  # noqa: PT011
            await work_off(Worker(queue, CommandBus({Pay: raising(error)})))
        assert not isinstance(raised.value, Exception)
    await anyio.lowlevel.checkpoint()
    assert [claim.attempt for claim in await queue.claim(1, 30)] == [1]


class Charge(Command[None]):
    card: Annotated[str, Sensitive]


class Quoting(MemoryQueue):
    """A queue that cannot settle, and whose error quotes the item."""

    async def ack(self, *claims: Claim) -> None:
        raise StoreError("quoting", f"cannot settle {claims[0].body.decode()}")


async def test_the_error_of_a_store_that_cannot_settle_is_logged_without_sensitive_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # DR-64
    queue, handled = Quoting(), list[Charge]()
    await queue.put(Codec([Charge]).encode(Envelope(Charge("4242-4242"))))
    await work_off(Worker(queue, CommandBus({Charge: handled.append}), lease=3, max_messages=1), 10)
    assert handled and "cannot be settled; next try" in caplog.text and "could not be settled" in caplog.text
    assert "Traceback" in caplog.text and "***" in caplog.text and "4242-4242" not in caplog.text
    assert {record.levelname for record in caplog.records} == {"WARNING", "ERROR"}


async def test_the_traceback_of_a_handler_shows_no_sensitive_content_and_any_stream_can_write_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # DR-83
    async def charge(charge: Charge) -> None:
        raise ValueError(f"{charge.card} \ud800")

    queue = MemoryQueue()
    await queue.put(Codec([Charge]).encode(Envelope(Charge("4242-4242"))))
    await work_off(Worker(queue, CommandBus([charge]), attempts=2))
    assert caplog.text.count("in charge") == 2 and "***" in caplog.text and "4242-4242" not in caplog.text
    assert caplog.text.encode() and not any(record.exc_info for record in caplog.records)
