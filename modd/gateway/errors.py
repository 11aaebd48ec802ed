"""The errors of a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.errors import InvalidOption, ModdError


class GatewayMisuse(ModdError, ValueError):
    """A gateway was made of things that cannot work together.

    faults: all faults, each as a text with the change that mends it.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"the gateway cannot be made: {'; '.join(faults)}")


class Refused(ModdError, RuntimeError):
    """A request is refused. Raise it in ``who`` to tell the client why: ``raise Refused(401, "Token is too old.")``.

    status: the status of the response, 400 to 599.
    reason: a text for the client; by default none.
    retry_after: seconds until a new attempt makes sense, for the header ``Retry-After``; by default None.

    Raises:
        InvalidOption: the status is none of an error.
    """

    def __init__(self, status: int, reason: str = "", retry_after: float | None = None) -> None:
        if not (isinstance(status, int) and 400 <= status <= 599):
            raise InvalidOption("status", status, "give the status of an error, 400 to 599")
        self.status, self.reason, self.retry_after = status, reason, retry_after
        super().__init__(reason or f"refused with status {status}")


class RuleFailed(ModdError, RuntimeError):
    """A function of the gateway's options failed, so that the request is not allowed.

    option: the option, ``who`` or ``allow``.
    reason: the fault, as a text.
    """

    def __init__(self, option: str, reason: Any) -> None:
        self.option = option
        super().__init__(f"{option} of the gateway failed: {reason}; the request was not allowed")
