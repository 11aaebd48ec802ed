"""The stream of a store: reads of its records, and commits that are compared with what was read."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Sequence
from json import dumps
from secrets import token_hex
from typing import Any

import anyio

from modd.nats.errors import LinkLost
from modd.nats.link import Link
from modd.nats.message import NatsMessage
from modd.ports.errors import StoreError
from modd.stores.nats.each_of import each_of
from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.publisher import Publisher
from modd.stores.nats.record import Guard, Record, Write, read_meta, read_time
from modd.stores.nats.requests import Answer, Requests, TryAgain, is_missing
from modd.stores.nats.subjects import Subjects

PAGE = 500
"""Most records of one answer."""


PAGE_BYTES = 8 * 2**20
"""Most bytes of one answer, so that it does not fill a subscription."""


MOST_REQUESTS = 64
"""Most requests of one call at a time."""


class JetStream:
    """The stream of one store. All reads see what was acknowledged before.

    link: the connection.
    store: the name of the store.
    timeout: seconds to try while the server is away.
    """

    def __init__(self, link: Link, store: str, timeout: float) -> None:
        self.link, self.store, self.name = link, store, f"MODD_{store}"
        self.requests = Requests(link, store, timeout)
        self.publisher = Publisher(self.requests, self.name)
        self.subjects = Subjects(store)
        self.replicas = 1

    async def commit(
        self, writes: Sequence[Write], guards: Iterable[Guard] = (), ids: Iterable[str] = (), *, is_claim: bool = False
    ) -> int:
        """Store writes, all or none, and return the sequence of the last one; they are numbered without gaps.

        They are stored once, also if answers are lost on the way.

        ids: the ids of items, for `UnknownOutcome`.
        is_claim: True if a write that is stored, though `WrongSequence` is raised, does no harm.

        Raises:
            WrongSequence: a condition does not hold.
            TooMany: there are more than the server stores at once.
            InvalidOption: a message is too large.
            StoreBusy: the server has not answered in time, and nothing is stored.
            UnknownOutcome: the server has not answered in time, and the writes may be stored.
        """
        return await self.publisher.commit(writes, guards, ids, is_claim=is_claim) if writes else 0

    async def confirm(self, guards: Sequence[Guard]) -> bool:
        """True if these conditions hold.

        On a cluster a server that leads no more may have answered a read, and be behind. So a message is stored with
        the conditions, which the leader alone can do.
        """
        if not guards or not self.publisher.checks_refusals:
            return True
        try:
            await self.publisher.commit((), guards, ())
        except WrongSequence:
            return False
        return True

    async def last(self, filter: str) -> Record | None:
        """Return the last message of a subject or a filter, as the leader has it; None if there is none.

        The server looks at all subjects of a filter, which takes a quarter of a second for 400 000.
        """
        return await self._get({"last_by_subj": filter})

    async def last_of_many(self, filters: Sequence[str]) -> list[Record | None]:
        """Return the last message of each subject or filter, as the leader has them: several requests at a time."""
        return await each_of(self.last, filters, MOST_REQUESTS)

    async def get(self, sequence: int) -> Record | None:
        """Return the message of a sequence, as the leader has it; None if there is none."""
        return await self._get({"seq": sequence})

    async def next(self, filter: str, after: int) -> Record | None:
        """Return the first message of a filter behind a sequence, as the leader has it; None if there is none."""
        return await self._get({"seq": after + 1, "next_by_subj": filter})

    async def last_of_each(self, filter: str) -> list[Record]:
        """Return the last message of each subject of a filter, tombstones included, in the order of sequences."""
        found: dict[str, Record] = {}
        for record in await self.page(filter):
            found.pop(record.subject, None)
            found[record.subject] = record
        return [*found.values()]

    async def page(self, filter: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the messages of a filter behind a sequence, the first ``limit``, in the order of sequences.

        A message that is written anew meanwhile is there in its old state, its new one, or both.
        """
        records: list[Record] = []
        while limit is None or len(records) < limit:
            most = PAGE if limit is None else min(PAGE, limit - len(records))
            found, is_end = await self._read_batch(filter, after, most)
            records += found
            after = found[-1].sequence if found else after
            if is_end and not await self._is_behind(filter, after):
                break
        return records

    async def info(self, **request: Any) -> Answer:
        """Return the answer of ``STREAM.INFO``. request: the fields of the request, such as ``subjects_filter``."""
        return await self.requests.ask(f"STREAM.INFO.{self.name}", request or None)

    async def count(self, subject: str) -> int:
        """Return the number of messages of a subject."""
        state = (await self.info(subjects_filter=subject))["state"]
        return int(state.get("subjects", {}).get(subject, 0))

    async def last_sequence(self) -> int:
        """Return the sequence of the last message of all subjects."""
        return int((await self.info())["state"]["last_seq"])

    async def time(self) -> float:
        """Return the time of the server."""
        return read_time((await self.info())["ts"])

    async def purge(self, filter: str, keep: int = 0) -> int:
        """Remove all messages of a filter but the last ``keep``, and return the number of those that are removed."""
        answer = await self.requests.ask(f"STREAM.PURGE.{self.name}", {"filter": filter, "keep": keep})
        return int(answer["purged"])

    async def _get(self, request: dict[str, Any]) -> Record | None:
        answer = await self.requests.ask(f"STREAM.MSG.GET.{self.name}", request)
        return None if is_missing(answer) else _read_stored(answer["message"])

    async def _is_behind(self, filter: str, after: int) -> bool:
        """True if there are more messages than a replica has shown."""
        return self.replicas > 1 and await self.next(filter, after) is not None

    async def _read_batch(self, filter: str, after: int, most: int) -> tuple[list[Record], bool]:
        """Return messages from any replica, and True if it has no more."""
        request = {"seq": after + 1, "next_by_subj": filter, "batch": most, "max_bytes": PAGE_BYTES}
        period = self.requests.retry_period()
        while True:
            try:
                return await self._ask_for_many(request)
            except TryAgain as problem:
                cause = problem.cause
            await period.pause(cause)

    async def _ask_for_many(self, request: dict[str, Any]) -> tuple[list[Record], bool]:
        inbox, subject = f"_INBOX.{token_hex(12)}", f"$JS.API.DIRECT.GET.{self.name}"
        try:
            async with self.link.subscribe(inbox, resume=False) as messages:
                await self.requests.send_all([NatsMessage(subject, dumps(request).encode(), {}, inbox)])
                return await _read_all(messages, self.store, self.requests.timeout_once)
        except (LinkLost, TimeoutError) as error:
            raise TryAgain(error) from error


async def _read_all(messages: AsyncIterator[NatsMessage], store: str, timeout: float) -> tuple[list[Record], bool]:
    """Return the records of an answer in many messages. timeout: seconds to wait for each of them."""
    records: list[Record] = []
    with anyio.fail_after(timeout) as scope:
        while (message := await anext(messages)).headers.get("Status") is None:
            records.append(_read_direct(message))
            scope.deadline = anyio.current_time() + timeout
    status = message.headers["Status"]
    if status == "503":
        raise TryAgain("no replica answers")
    if status not in ("204", "404"):
        raise StoreError(store, f"the server answers {status} {message.headers.get('Description')}")
    return records, status == "404" or message.headers.get("Nats-Num-Pending") == "0"


def _read_direct(message: NatsMessage) -> Record:
    headers = message.headers
    sequence, at = int(headers["Nats-Sequence"]), read_time(headers["Nats-Time-Stamp"])
    return Record(headers["Nats-Subject"], sequence, at, read_meta(headers), message.body)


def _read_stored(message: dict[str, str]) -> Record:
    lines = b64decode(message.get("hdrs", "")).decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    body = b64decode(message.get("data", ""))
    return Record(message["subject"], int(message["seq"]), read_time(message["time"]), read_meta(headers), body)
