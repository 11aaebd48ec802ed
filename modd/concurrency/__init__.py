"""Cancellation, signals, backoff and leases, on asyncio and trio: the parts that anyio lacks."""
