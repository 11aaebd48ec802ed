"""A clock that jumps: time passes as soon as everything waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar, TypeVarTuple

from modd.errors import InvalidOption

Ts = TypeVarTuple("Ts")


T = TypeVar("T")


_CLOCKS = {"asyncio": "modd.testing.asyncio_clock", "trio": "modd.testing.trio_clock"}
"""Imported when asked for, because trio may not be there."""


def run_virtual(
    function: Callable[[*Ts], Awaitable[T]], *args: *Ts, backend: str = "asyncio", patience: float = 0.0
) -> T:
    """Run an async function from its start to its end with a clock that jumps, and return what it returns.

    Whenever everything waits, the clock moves on to what is due next, so that ``anyio.sleep(3600)`` takes no time and
    ``anyio.current_time()``, which begins at 0, moves on by 3600. Use it to test time-outs, retries and schedules.

    backend: ``"asyncio"`` or ``"trio"``. patience: see `virtual_backend`.
    """
    _, options = virtual_backend(backend, patience=patience)
    result: T = import_module(_CLOCKS[backend]).run(function, args, options)
    return result


def virtual_backend(backend: str, *, patience: float = 0.0) -> tuple[str, dict[str, Any]]:
    """A backend and its options for one run with a clock that jumps: what an ``anyio_backend`` fixture may return.

    backend: ``"asyncio"`` or ``"trio"``.
    patience: how many seconds of real time to wait for input before each jump. With 0 the clock jumps as soon as
        nothing can be read, which is right as long as all that the test waits for happens in its own loop.

    While a worker thread is at work the clock does not jump, but waits as long as in reality, so that a time-out
    around the thread keeps its meaning. Seen are threads of ``anyio.to_thread`` and ``trio.to_thread`` with the
    default limiter and, on asyncio, ``asyncio.to_thread`` and ``run_in_executor``. What the clock cannot see are
    threads with a limiter of their own, other processes and the network: give it patience there. Real clocks, such
    as ``time.monotonic()``, do not jump.

    Raises `InvalidOption`; ``ImportError`` when trio is asked for and not installed. (To run one function, take
    `run_virtual`: before 4.14, ``anyio.run`` forgets the options for trio.)
    """
    if backend not in _CLOCKS:
        raise InvalidOption("backend", backend, 'give "asyncio" or "trio"')
    if not patience >= 0:
        raise InvalidOption("patience", patience, "give seconds, 0 or more")
    options: dict[str, Any] = import_module(_CLOCKS[backend]).options(patience)
    return backend, options
