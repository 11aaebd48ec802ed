"""The errors of flows."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError


class WrongStep(ModdError, TypeError):
    """A function of a flow has returned something else than a step; nothing was written.

    function: the name of the function.
    flow: the name of the flow.
    problem: the fault and the way to mend it, as a text.

    Return ``go(state, *effects)``, ``end(*effects)`` or None.
    """

    def __init__(self, function: str, flow: str, problem: str) -> None:
        self.function, self.flow = function, flow
        super().__init__(f"{function} of the flow {flow} returned {problem}")


class UnknownTimeout(ModdError, LookupError):
    """A timeout has no function in the flow.

    timeout: the name of the timeout.
    flow: the name of the flow.
    known: the names of the timeouts that have a function.
    function: the name of the function that set or cancelled it; empty for a timeout that is due.

    Give the flow a function for it: ``timeouts={"payment": unpaid}``.
    """

    def __init__(self, timeout: str, flow: str, known: Iterable[str], function: str = "") -> None:
        self.timeout, self.flow, self.known, self.function = timeout, flow, tuple(known), function
        subject = f"{function} of the flow {flow} names the timeout" if function else f"the flow {flow} has a timeout"
        cure = f"those that have one: {', '.join(map(repr, self.known)) or 'none'}"
        super().__init__(f"{subject} {timeout!r}, which has no function in its timeouts; {cure}")


class UnreadableState(ModdError, ValueError):
    """A stored state of a flow cannot be read; it stays as it is.

    flow: the name of the flow.
    version: the version that the state was stored with.
    reason: the fault, as a text without values of the state.

    Raise ``version`` of the flow when the fields of its state change, and give ``upcasters`` for the older versions.
    """

    def __init__(self, flow: str, version: int, reason: str) -> None:
        self.flow, self.version, self.reason = flow, version, reason
        super().__init__(f"a state of the flow {flow}, stored with version {version}, cannot be read: {reason}")
