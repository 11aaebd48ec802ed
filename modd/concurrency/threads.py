"""Threads that work for a task and that no limiter of anyio counts, for a virtual clock, which waits for them."""

from __future__ import annotations

threads_at_work: set[object] = set()
"""An object for each call in the process that waits for such a thread; add it before the call, discard it after."""
