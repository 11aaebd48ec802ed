"""The status of an app: if it is live and ready, and how each of its parts is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

OK = "ok"
ENDED = "ended"


class Status(msgspec.Struct, frozen=True):
    """The status of an app at one moment.

    live: True while the app runs.
    ready: True from when all parts do their work until the stop, while each part is well.
    parts: for each part, by its label, and for each check, by its name: ``"ok"`` if it is well; ``"ended"`` for a part
        that returned by itself, which is well, too; else the words for what is wrong, such as ``"not polled yet"``.
        A timer whose firings fail has words, such as ``"failed 4 times, last: OSError"``, and ``ready`` stays True.
    """

    live: bool
    ready: bool
    parts: dict[str, str]


class PartFact(msgspec.Struct, frozen=True):
    """The facts about a part at one moment.

    label: its label. state: that of its run. has_begun: True once it does its work. problem: its own words for what is
    wrong, or None. error: the error that ended it, or None. is_timer: True for a timer, which is well with a problem.
    """

    label: str
    state: Literal["waiting", "running", "ended"]
    has_begun: bool
    problem: str | None = None
    error: Exception | None = None
    is_timer: bool = False

    @property
    def is_well(self) -> bool:
        """True if the app can be ready."""
        # a timer that fails is no reason to take the other parts out of service
        has_warning = self.is_timer and self.has_begun and self.state == "running" and self.error is None
        return has_warning or self.text in (OK, ENDED)

    @property
    def text(self) -> str:
        """The words for the part in a status."""
        if self.error is not None:
            return f"failed: {type(self.error).__name__}"
        if self.state == "running":
            return self.problem or (OK if self.has_begun else "starting")
        return ENDED if self.state == "ended" else "not started"


def status_of(parts: Iterable[PartFact], checks: Mapping[str, str], *, is_live: bool, is_stopping: bool) -> Status:
    """Return the status that follows from the facts.

    checks: the words for each check. is_live: the app runs. is_stopping: it was told to stop, or its end has begun.
    """
    facts = list(parts)
    is_well = all(each.is_well for each in facts) and all(text == OK for text in checks.values())
    texts = {each.label: each.text for each in facts} | dict(checks)
    return Status(is_live, is_live and not is_stopping and is_well, texts)
