"""Random transactions on documents beside each other, and the bodies that they leave if they run one after another."""

from __future__ import annotations

from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup
from hypothesis import strategies as st

from modd.ports.documents import Documents
from modd.ports.errors import Conflict
from modd.testing.conformance.documents import add_up, encode_number

KEYS = ("a", "b", "c")

Bodies: TypeAlias = dict[str, bytes]
Step: TypeAlias = tuple[str, int, str]
"""The kind of step, the number of its transaction, and a key."""

READS = ("get", "items", "many")
kinds = st.sampled_from([*READS, "put", "put", "delete", "fold", "swap", "beside", "commit", "commit", "fail"])
steps = st.tuples(kinds, st.integers(0, 3), st.sampled_from(KEYS))
histories = st.lists(steps, min_size=30, max_size=30)


async def read(documents: Documents, kind: str, key: str) -> object:
    if kind == "get":
        return await documents.get(key)
    return dict(await documents.items(limit=2)) if kind == "items" else await documents.get_many(["b", key])


def model_read(bodies: Bodies, kind: str, key: str) -> object:
    if kind == "get":
        return bodies.get(key)
    keys = sorted(bodies)[:2] if kind == "items" else dict.fromkeys(["b", key])
    return {each: bodies[each] for each in keys if each in bodies}


async def write(documents: Documents, kind: str, key: str, body: bytes) -> None:
    if kind == "put":
        await documents.put(key, body)
    elif kind == "delete":
        await documents.delete(key)
    elif kind == "fold":
        await documents.fold([(key, int(body))], add_up, int, encode_number)
    else:
        await documents.swap(key, body, None)


def model_write(bodies: Bodies, kind: str, key: str, body: bytes) -> None:
    if kind == "delete":
        bodies.pop(key, None)
    elif kind == "fold":
        bodies[key] = b"%d" % (int(bodies.get(key, b"0")) + int(body))
    else:
        assert kind == "put" or key not in bodies  # else the swap is a conflict
        bodies[key] = body


class Running:
    """A transaction in a task of its own, with what it has read and written."""

    def __init__(self, store: Any, number: int, *, is_immediate: bool) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.is_immediate, self.is_committed, self.is_over = is_immediate, False, False
        self._store, self._number = store, number
        self._send, self._receive = anyio.create_memory_object_stream[Step](1)
        self._done = anyio.Event()

    async def run(self) -> None:
        try:
            await self._follow_steps()
            self.is_committed = True
        except (Conflict, ZeroDivisionError):
            pass
        self.is_over = True
        self._done.set()

    async def step(self, step: Step) -> None:
        """Do a step to its end."""
        self._done = anyio.Event()
        await self._send.send(step)
        await self._done.wait()

    async def _follow_steps(self) -> None:
        with self._send, self._receive:
            async with self._store.transaction(immediate=self.is_immediate, max_seconds=300):
                while True:
                    kind, _, key = await self._receive.receive()
                    if kind == "commit":
                        return
                    if kind == "fail":
                        raise ZeroDivisionError
                    await self._do(self._store.documents("d"), kind, key)
                    self._done.set()

    async def _do(self, documents: Documents, kind: str, key: str) -> None:
        if kind in READS:
            self.calls.append((kind, key, await read(documents, kind, key)))
        else:
            body = b"%d" % (len(self.calls) * 10 + self._number + 1)
            await write(documents, kind, key, body)
            self.calls.append((kind, key, body))

    @property
    def is_read_only(self) -> bool:
        return all(kind in READS for kind, _, _ in self.calls)

    def replay(self, bodies: Bodies) -> Bodies | None:
        """Return the bodies after it, if it alone ran on these; None if it would have read something else."""
        after, before = bodies.copy(), bodies.copy()
        for kind, key, value in self.calls:
            if kind not in READS:
                model_write(after, kind, key, value)
            elif model_read(after if self.is_immediate else before, kind, key) != value:
                return None
        return after


class History:
    """Transactions beside each other, and the bodies as their commits should leave them, one after another.

    stores: two of the same content. all_deferred: False if those of odd numbers are immediate.
    """

    def __init__(self, stores: list[Any], tasks: TaskGroup, *, all_deferred: bool) -> None:
        self._stores, self._tasks, self._all_deferred = stores, tasks, all_deferred
        self._running: dict[int, Running] = {}
        self._states: list[Bodies] = [{}]
        """The bodies after each commit."""
        self._begun: dict[int, int] = {}
        """The number of the state at which each transaction began."""

    async def step(self, step: Step) -> None:
        kind, number, key = step
        if kind == "beside":
            await self._stores[number % 2].documents("d").put(key, b"%d" % number)
            self._states.append({**self._states[-1], key: b"%d" % number})
            return
        if number not in self._running:
            self._begun[number] = len(self._states) - 1
            is_immediate = number % 2 == 1 and not self._all_deferred
            self._running[number] = Running(self._stores[number // 2], number, is_immediate=is_immediate)
            self._tasks.start_soon(self._running[number].run)
        running = self._running[number]
        await running.step(step)
        if running.is_over:
            self._check(self._running.pop(number), self._begun.pop(number))

    async def end(self) -> None:
        for number in [*self._running]:
            await self.step(("commit", number, "a"))
        for store in self._stores:
            assert dict(await store.documents("d").items()) == self._states[-1]

    def _check(self, running: Running, begun: int) -> None:
        if running.is_committed and running.is_read_only:  # it may come before those that were committed meanwhile
            assert any(running.replay(state) is not None for state in self._states[begun:])
        elif running.is_committed:
            after = running.replay(self._states[-1])
            assert after is not None
            self._states.append(after)


async def run_beside(stores: list[Any], history: list[Step], *, all_deferred: bool = False) -> None:
    """Do the steps of a history in two stores of the same content."""
    async with anyio.create_task_group() as tasks:
        beside = History(stores, tasks, all_deferred=all_deferred)
        for step in history:
            await beside.step(step)
        await beside.end()
