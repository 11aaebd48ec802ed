"""threaded: a part that runs a blocking component in a worker thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Set
from contextlib import closing
from typing import Any

from anyio import to_thread

from modd.core import Bus, Component, Message, inside, name_of, values_of
from modd.errors import NotAComponent
from modd.parts.base import NamedPart, is_async


def threaded(component: Component) -> Threaded:
    """Run a blocking component in a worker thread, so that it does not block the event loop.

    Use it for components that read files, call blocking drivers or compute for long: ``Bus([threaded(resize)])``.

    component: a component that is not async, or a part of such components. Not a bus: put ``threaded`` around the
        blocking components inside it.

    The part accepts the same messages as the component. The turn waits for the thread. Generators run in the thread to
    their end; the messages that came before an error are delivered. Context variables are copied to the thread, and
    ``anyio.from_thread.run(bus, message)`` in the thread counts as sent inside the turn.

    Cancellation: a thread cannot be interrupted, so a cancelled sender waits for its end. To end sooner, call
    ``anyio.from_thread.check_cancelled()`` in the component at times. A native asyncio ``task.cancel()`` does not wait:
    the thread goes on alone and its result is dropped.

    Raises:
        NotAComponent: the component is async or has a bus inside.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
    """
    return Threaded(component)


class Threaded(NamedPart):
    """The part that `threaded` returns."""

    def __init__(self, component: Component) -> None:
        super().__init__(component, of=[component])
        self.name = f"threaded({name_of(component)})"
        for part in inside(component):
            if isinstance(part, Bus):
                raise NotAComponent(part, "a bus runs on the loop; put threaded() around the components inside it")
            if is_async(part):
                raise NotAComponent(part, "it is async and does not block the loop; use it without threaded()")

    async def __call__(self, message: Message, /) -> AsyncIterator[Any]:
        """Run the component in a thread, then yield its messages and raise its error."""
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


def _drain(result: Any, items: list[Any]) -> None:
    """Add the messages in the result of a component to a list, running its iterators to their end."""
    if isinstance(result, Iterator):
        with closing(values_of(result)) as values:
            for item in values:
                _drain(item, items)
    elif isinstance(result, (list, tuple, Set)):
        for item in result:
            _drain(item, items)
    elif result is not None:
        items.append(result)
