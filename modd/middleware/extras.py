"""Middleware that need more than modd itself does."""

from __future__ import annotations

from modd.errors import ModdError


class MissingExtra(ModdError, ImportError):
    """Something was imported whose requirements are not installed; ``extra`` is what to install."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs packages that are not installed: pip install modd[{extra}]")
