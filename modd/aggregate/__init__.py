"""Aggregates: commands that are decided by chains of functions, and recorded as events (`docs/aggregates.md`).

Read it in this order: `aggregate` (the bus), `chain`, `step` and `mark` (a decision), `instance` and `fold` (its
subject), `recorder` (the way to the log), `streams` and `snapshots` (the store).
"""

from modd.aggregate import only
from modd.aggregate.aggregate import Aggregate
from modd.aggregate.chain import on
from modd.aggregate.decider import Decider
from modd.aggregate.errors import CommandRejected, MisusedMark, UnknownEvent, WrongState
from modd.aggregate.explanation import Explanation
from modd.aggregate.history import Change
from modd.aggregate.inline import Inline
from modd.aggregate.instance import Instance
from modd.aggregate.mark import Mark
from modd.aggregate.rejected import Rejected

__all__ = [
    "Aggregate",
    "Change",
    "CommandRejected",
    "Decider",
    "Explanation",
    "Inline",
    "Instance",
    "Mark",
    "MisusedMark",
    "Rejected",
    "UnknownEvent",
    "WrongState",
    "on",
    "only",
]
