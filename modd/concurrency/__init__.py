"""Cancellation, signals and pauses between attempts: on asyncio and trio alike, what anyio does not have."""
