"""Workers with different handlers, at one queue in one file."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.cqrs import Envelope
from modd.ports import Item
from modd.stores import SqliteStore
from modd.worker import Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: work in other threads takes time."""
    return str(request.param)


class Telling(Books):
    """A handler that tells when it has got so many."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__()
        self.all = anyio.Event()

        async def handle(event: Paid) -> None:
            self.log.append((name, event.amount))
            if len(self.log) == most:
                self.all.set()

        self.bus.register(Paid, handle, name)


async def test_each_row_gets_to_the_worker_that_has_its_handler(tmp_path: Path) -> None:
    # ST-45
    post, mail = Telling("post", 20), Telling("mail", 20)
    async with SqliteStore(tmp_path / "a.db") as one, SqliteStore(tmp_path / "a.db") as other:
        workers = [Worker(one.queue("q"), post.bus), Worker(other.queue("q"), mail.bus)]
        await one.queue("q").put(
            *[
                Item(CODEC.encode(Envelope(Paid(n))), {"modd-handler": name})
                for n in range(20)
                for name in ("post", "mail")
            ]
        )
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for worker in workers:
                    tasks.start_soon(worker.run)
                await post.all.wait()
                await mail.all.wait()
                for worker in workers:
                    worker.stop()
        assert sorted(post.log) == [("post", n) for n in range(20)]
        assert sorted(mail.log) == [("mail", n) for n in range(20)]
