"""The health of an app over HTTP: its options, and the checks that a user adds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from ipaddress import ip_address
from typing import Any

import anyio

from modd.app.status import OK
from modd.checks import checked_text
from modd.concurrency.cancellation import call
from modd.errors import InvalidOption
from modd.extras import require_extra

CHECK_SECONDS = 2.0
"""Seconds that a check has."""

Check = Callable[[], Awaitable[object]]


class Health:
    """Serves the health of an app over HTTP, for the system that starts and stops its process.

    ``GET /live`` answers 200 while the event loop of the app works. ``GET /ready`` answers 200 from when all parts do
    their work until the stop, while each part and each check is well, else 503; its body has the words for each part.

    host: the address to listen at, by default ``"127.0.0.1"``: this machine alone. Give ``"0.0.0.0"`` for all.
    port: the port, 8081 by default; 0 for a free one, which is `bound_port` then.
    checks: async functions without parameters, by their names; by default none. A check that raises, returns False or
        takes more than 2 seconds is not well; the body names the type of its error.

    Raises:
        InvalidOption: an option has a value that cannot work.
        MissingExtra: the extra ``serve`` is not installed.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8081, checks: Mapping[str, Check] | None = None) -> None:
        require_extra("modd.app.Health", "serve", "hypercorn.protocol")
        self.host, self.port = _checked_host(host), _checked_port(port)
        self.checks: dict[str, Check] = _checked_checks({} if checks is None else checks)
        self.bound_port: int | None = None
        """The port that is listened at while the app runs; None while it does not run."""

    async def run_checks(self) -> dict[str, str]:
        """Run all checks side by side; return ``"ok"`` or the type of the error for each, by its name."""
        words = dict.fromkeys(self.checks, OK)
        async with anyio.create_task_group() as tasks:
            for name, check in self.checks.items():
                tasks.start_soon(_run_check, name, check, words)
        return words


async def _run_check(name: str, check: Check, words: dict[str, str]) -> None:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            if await call(check) is False:
                words[name] = "returned False"
    except Exception as error:
        words[name] = type(error).__name__


def _checked_host(host: Any) -> str:
    cure = "give an address, such as '127.0.0.1', or a name that stands for one"
    checked_text("host", host, cure)
    if not host or set(host) & set("/ \n"):
        raise InvalidOption("host", host, cure)
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            raise InvalidOption("host", host, f"{cure}; the port is an option of its own") from None
    return str(host)


def _checked_port(port: Any) -> int:
    if type(port) is not int or not 0 <= port < 65536:
        raise InvalidOption("port", port, "give a port from 1 to 65535, or 0 for a free one")
    return port


def _checked_checks(checks: Any) -> dict[str, Check]:
    if not isinstance(checks, Mapping):
        raise InvalidOption("checks", checks, "give a dict of async functions by their names")
    for name, check in checks.items():
        if not isinstance(name, str) or not name:
            raise InvalidOption("checks", name, "give each check a name: a text that is not empty")
        if not (iscoroutinefunction(check) or iscoroutinefunction(getattr(check, "__call__", None))):  # noqa: B004
            raise InvalidOption("checks", check, f"{name} is no async function; give one without parameters")
    return dict(checks)
