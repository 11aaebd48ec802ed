"""The last attempt to settle claims: at the end of a task, also a cancelled one, in limited time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from logging import Logger
from typing import Any

import anyio

from modd.concurrency.cancellation import call
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim

SETTLE_TIMEOUT = 1.0
"""Seconds that a store gets to settle claims at the end of a task."""


async def settle_shielded(
    action: Callable[..., Awaitable[object]], claims: Sequence[Claim], *args: Any, log: Logger
) -> None:
    """Settle claims with ``await action(*claims, *args)``, shielded from cancellation for `SETTLE_TIMEOUT` seconds.

    Nothing is raised: a failure is logged, and the claims are free when their leases end. A store that cannot be
    interrupted, such as a locked file, may take as long as its own timeout.

    action: ``release`` of a queue or an outbox, or a different method that settles claims.
    args: arguments of the method, after the claims.
    log: gets a warning if the store fails or does not answer.
    """
    items = claims[0].id if len(claims) == 1 else f"{claims[0].id} and {len(claims) - 1} more"
    with anyio.move_on_after(SETTLE_TIMEOUT, shield=True) as scope:
        try:
            await call(action, *claims, *args)
        except LeaseLost:  # settled before, or leased by a different process since
            pass
        except Exception:
            log.warning("%s could not be settled; free when the lease ends", items, exc_info=True)
    if scope.cancelled_caught:
        log.warning("%s could not be settled within %g s; free when the lease ends", items, SETTLE_TIMEOUT)
