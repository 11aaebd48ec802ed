"""The errors of middleware that do not let an intent through."""

from __future__ import annotations

from modd.errors import ModdError


class Forbidden(ModdError, PermissionError):
    """The actor may not do this."""

    def __init__(self, intent: type, actor: str | None, reason: str) -> None:
        self.intent, self.actor, self.reason = intent, actor, reason
        super().__init__(f"{actor or 'nobody'} may not {intent.__qualname__}: {reason}")


class FeatureDisabled(ModdError, RuntimeError):
    """The feature is off, and there is no fallback (MI-51)."""

    def __init__(self, intent: type) -> None:
        self.intent = intent
        super().__init__(f"{intent.__qualname__} is switched off; give FeatureFlag a fallback for it, or switch it on")


class LockTimeout(ModdError, TimeoutError):
    """The lock was held by others all the time (MI-33)."""

    def __init__(self, key: str, timeout: float) -> None:
        self.key, self.timeout = key, timeout
        super().__init__(f"the lock {key!r} was not free within {timeout:g} s; try again later, or wait longer")


class DispatchTimeout(ModdError, TimeoutError):
    """It took longer than it was allowed to."""

    def __init__(self, intent: type, seconds: float) -> None:
        self.intent, self.seconds = intent, seconds
        super().__init__(f"{intent.__qualname__} took longer than {seconds:g} s and was cancelled")


class RateLimited(ModdError, RuntimeError):
    """Too many in a given time; ``retry_after`` is in seconds."""

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"too many {intent.__qualname__}; try again in {retry_after:.3g} s")


class CircuitOpen(ModdError, RuntimeError):
    """It failed so often lately that it is not tried now; ``retry_after`` is in seconds."""

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"{intent.__qualname__} failed too often and is not tried for {retry_after:.3g} s")
