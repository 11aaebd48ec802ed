"""Quarantine: a process that handles a suspect handles nothing else.

A suspect is a message that was claimed before and never settled. It may have ended its process, or a message beside it
has. Alone in its process, it can cost no other message an attempt.

Theory of operation. Each run of a worker is an `Occupant` of its process, in whatever loop and thread. A claim by an
occupant is one of three:

- Other messages are being handled in the process, or claimed: it takes no suspects.
- Nothing else is being handled: it may take a suspect. Until it has returned, and until a suspect that it has taken is
  settled, the other occupants are refused; they are woken afterwards.
- A worker that is never idle would never take a suspect. So if it was busy for longer than a lease, and suspects wait,
  it rests: all occupants claim nothing until nothing is being handled, for a lease at most. Then it takes a suspect
  first.

If the wall clock jumps ahead of the clock of the loop, the machine was suspended, or its time was set. The leases of
all processes ended meanwhile, and those that work on their messages are about to renew them. So an occupant takes no
suspects for half a lease then.

Example: worker A handles 3 messages, worker B none, and a suspect waits. The claims of B take no suspects. After 30
seconds B rests, and A is refused. When A has settled its messages, B takes the suspect; when B has, A goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from time import time
from weakref import WeakSet

import anyio

from modd.concurrency.blocks import block
from modd.concurrency.loops import call_in_task, current_loop, is_over
from modd.ports.items import Suspects

_lock = Lock()  # for loops in several threads


class Occupant:
    """A run of a worker beside the others of its process. Methods are called in the loop of the run.

    lease: seconds of a lease. in_flight: returns the number of claims that the run handles.
    wake: has the run claim again; called in its loop. clock: seconds since 1970.
    """

    def __init__(
        self, lease: float, in_flight: Callable[[], int], wake: Callable[[], object], clock: Callable[[], float] = time
    ) -> None:
        self._lease, self._in_flight, self.wake, self._clock = lease, in_flight, wake, clock
        self.loop, self.process = current_loop(), os.getpid()
        self.is_refused = False
        """True if the last claim was refused because of another occupant."""
        self.is_alone = False
        """True while the run claims or handles a suspect, or may get one from a claim under way."""
        self._is_claiming = False
        self._alone_at, self._rest_until = anyio.current_time(), 0.0
        self._wall_offset, self._leave_until = clock() - self._alone_at, 0.0

    @block
    def enter(self) -> Iterator[None]:
        """Count as an occupant of the process for the block."""
        with _lock:
            _occupants.add(self)
        try:
            yield
        finally:
            with _lock:
                _occupants.discard(self)
            self._wake(lambda each: each.is_refused)

    @property
    def is_occupied(self) -> bool:
        """True while the run claims or handles messages."""
        return self._is_claiming or self._in_flight() > 0

    @property
    def takes_suspects(self) -> bool:
        """True while nothing is handled or claimed in the process, unless suspects are left to other processes."""
        if self._leaves_suspects():
            return False
        with _lock:
            return not self._is_busy_beside(self._others())

    @property
    def is_overdue(self) -> bool:
        """True if the run had company for longer than a lease."""
        return anyio.current_time() > self._alone_at + self._lease

    @property
    def rest_left(self) -> float:
        """Seconds for which the run claims nothing while it has company."""
        return max(0.0, self._rest_until - anyio.current_time()) if self._rest_until else 0.0

    def rest(self, seconds: float) -> None:
        """Have all occupants claim nothing until nothing is being handled, for so many seconds at most."""
        self._alone_at = anyio.current_time() + seconds
        self._rest_until = self._alone_at if seconds else 0.0

    def begin_claim(self) -> Suspects | None:
        """Return which suspects a claim may take now; None if there is to be no claim. `end_claim` must follow."""
        rests, leaves = self.rest_left > 0, self._leaves_suspects()
        if not rests:
            self._end_rest()
        with _lock:
            others = self._others()
            is_busy = self._is_busy_beside(others)
            self.is_refused = self.is_alone or any(each.is_alone or (each.rests and not rests) for each in others)
            if not self.is_refused:
                if not (leaves or is_busy):
                    self._is_claiming = self.is_alone = True
                    return "first" if rests else "last"
                self._is_claiming = not rests
                return None if rests else "none"
        if not is_busy:
            self._wake(lambda each: each.rests)  # nothing else would wake it before the end of its rest
        return None

    def end_claim(self, *, suspect: bool) -> None:
        """End a claim; suspect: True if it has taken one, which is handled now."""
        self._is_claiming = False
        if self.is_alone and not suspect:
            self._end_alone()

    def finish(self) -> None:
        """Note that a message is settled."""
        if self.is_alone and not self.is_occupied:
            self._end_alone()

    @property
    def rests(self) -> bool:
        """True while the run rests; by its own clock, so that it is told by the run itself."""
        return bool(self._rest_until)

    def _leaves_suspects(self) -> bool:
        """True if the wall clock has jumped a short time ago."""
        now, before = anyio.current_time(), self._wall_offset
        self._wall_offset = self._clock() - now
        if self._wall_offset - before > self._lease / 3:
            self._leave_until = now + self._lease / 2
        return now < self._leave_until

    def _end_alone(self) -> None:
        self.is_alone = self.is_refused = False
        if not self._in_flight():  # else it has got other messages, and suspects may still wait
            self._alone_at = anyio.current_time()
        self._rest_until = 0.0
        self._wake(lambda each: each.is_refused)

    def _end_rest(self) -> None:
        if self._rest_until:
            self._rest_until = 0.0
            self._wake(lambda each: each.is_refused)

    def _is_busy_beside(self, others: Iterable[Occupant]) -> bool:
        """Return True if the run, or one of these others, claims or handles messages."""
        return self.is_occupied or any(each.is_occupied for each in others)

    def _others(self) -> list[Occupant]:
        """Return the other occupants; those of a process before a fork, and of loops that are over, are none."""
        pid = os.getpid()
        others = [each for each in _occupants if each is not self and each.process == pid]
        return [each for each in others if each.loop is self.loop or not is_over(each.loop)]

    def _wake(self, condition: Callable[[Occupant], bool]) -> None:
        """Have the other occupants that meet the condition claim again."""
        with _lock:
            chosen = [each for each in self._others() if condition(each)]
            for each in chosen:
                each.is_refused = False
        for each in chosen:
            call_in_task(each.loop, each.wake)


_occupants: WeakSet[Occupant] = WeakSet()
"""The runs of workers in this process."""
