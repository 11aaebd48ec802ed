"""The loops of property tests."""

from __future__ import annotations

BACKENDS = ("asyncio", "trio")
"""Each example runs on both: to draw one costs several times what a run costs."""
