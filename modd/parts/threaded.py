"""threaded: a blocking component in a worker thread."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

from anyio import to_thread

from modd.core import Bus, Component, Message, inside, name_of
from modd.errors import NotAComponent
from modd.parts.base import NamedPart, is_async


def threaded(component: Component) -> Threaded:
    """Runs a blocking component in a worker thread, so that the loop goes on meanwhile.

    Use it for components that read files, call blocking drivers or compute for long: ``Bus([threaded(resize)])``.

    component: a component that is not async; parts made of such components are fine, a bus is not: put ``threaded``
        around the blocking components inside it.

    It accepts what the component accepts. The turn waits for the thread; what the component gives back, generators
    included, is made in the thread and kept when the thread is done, what came before an error too. Context variables
    are carried over, and ``anyio.from_thread.run(bus, message)`` in the thread counts as sent inside the turn.

    Cancellation: a thread cannot be interrupted. A sender that is cancelled waits until the thread is done and ends
    then; to end sooner call ``anyio.from_thread.check_cancelled()`` in the component now and then. A native asyncio
    ``task.cancel()`` does not wait: the thread goes on by itself and what it gives back is dropped.
    Raises `NotAComponent` for what is async or has a bus in it, `UnresolvedAnnotation`.
    """
    return Threaded(component)


class Threaded(NamedPart):
    """The part that `threaded` makes."""

    def __init__(self, component: Component) -> None:
        super().__init__(component, of=[component])
        self.name = f"threaded({name_of(component)})"
        for part in inside(component):
            if isinstance(part, Bus):
                raise NotAComponent(part, "a bus runs on the loop; put threaded() around the components inside it")
            if is_async(part):
                raise NotAComponent(part, "it is async and blocks no loop; give it without threaded()")

    async def __call__(self, message: Message, /) -> AsyncIterator[Any]:
        """Run the component in a thread, then yield what it gave back and raise what it raised."""
        items, error = await to_thread.run_sync(self._run, message)
        for item in items:
            yield item
        if error is not None:
            raise error

    def _run(self, message: Message) -> tuple[list[Any], Exception | None]:
        items: list[Any] = []
        try:
            _drain(self._inside[0].call(message), items)
        except Exception as error:
            return items, error
        return items, None


def _drain(given: Any, items: list[Any]) -> None:
    """Run what is left to run of what a component gave back, keeping what comes."""
    if inspect.isgenerator(given):
        with closing(given):
            for item in given:
                _drain(item, items)
    elif isinstance(given, (list, tuple)):
        for item in given:
            _drain(item, items)
    elif given is not None:
        items.append(given)
