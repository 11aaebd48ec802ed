"""A virtual clock: it jumps to the next timer as soon as all tasks wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar, TypeVarTuple

from modd.errors import InvalidOption

Ts = TypeVarTuple("Ts")


T = TypeVar("T")


_CLOCKS = {"asyncio": "modd.testing.asyncio_clock", "trio": "modd.testing.trio_clock"}
"""Modules that are imported when used, because trio may not be installed."""


def run_virtual(
    function: Callable[[*Ts], Awaitable[T]], *args: *Ts, backend: str = "asyncio", patience: float = 0.0
) -> T:
    """Run an async function with a virtual clock, and return its result.

    Whenever all tasks wait, the clock jumps to the next timer: ``anyio.sleep(3600)`` takes no time, and
    ``anyio.current_time()``, which begins at 0, advances by 3600. Use it to test time-outs, retries and schedules.

    backend: ``"asyncio"`` or ``"trio"``.
    patience: see `virtual_backend`.

    Raises:
        InvalidOption: the backend is unknown, or ``patience`` is negative.
        ImportError: trio is not installed.
    """
    _, options = virtual_backend(backend, patience=patience)
    result: T = import_module(_CLOCKS[backend]).run_with_options(function, args, options)
    return result


def virtual_backend(backend: str, *, patience: float = 0.0) -> tuple[str, dict[str, Any]]:
    """Return a backend and its options for one run with a virtual clock, as an ``anyio_backend`` fixture returns them.

    backend: ``"asyncio"`` or ``"trio"``.
    patience: seconds of real time to wait for input before each jump. With 0, the default, the clock jumps as soon as
        there is no input, which is right if the test waits only for its own event loop.

    While a worker thread runs, the clock waits in real time, so that a time-out around the thread keeps its meaning.
    The clock sees threads of ``anyio.to_thread`` and ``trio.to_thread`` with the default limiter, those of a
    `SqliteStore` and, on asyncio, of ``asyncio.to_thread`` and ``run_in_executor``. It does not see threads with a
    limiter of yours, other processes and the network: set ``patience`` for these. Real clocks, such as
    ``time.monotonic()``, do not jump; give a store ``clock=anyio.current_time``.

    To run a single function use `run_virtual`: before 4.14, ``anyio.run`` ignores the options for trio.

    Raises:
        InvalidOption: the backend is unknown, or ``patience`` is negative.
        ImportError: trio is not installed.
    """
    if backend not in _CLOCKS:
        raise InvalidOption("backend", backend, 'give "asyncio" or "trio"')
    if not patience >= 0:
        raise InvalidOption("patience", patience, "give seconds, 0 or more")
    options: dict[str, Any] = import_module(_CLOCKS[backend]).backend_options(patience)
    return backend, options
