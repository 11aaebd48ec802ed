"""Flows: pure functions that turn events and timeouts into commands, with a state (`docs/understand/flows.md`).

Read it in this order: `flow`, `effects` (the values that its functions return), `step` (how these are checked),
`functions` and `states`.
"""

from modd.flow.effects import End, Go, Timeout, cancel_timeout, end, go, timeout
from modd.flow.errors import UnknownTimeout, UnreadableState, WrongStep
from modd.flow.flow import Flow

__all__ = [
    "End",
    "Flow",
    "Go",
    "Timeout",
    "UnknownTimeout",
    "UnreadableState",
    "WrongStep",
    "cancel_timeout",
    "end",
    "go",
    "timeout",
]
