"""Admission: the actor of a request, the rules for messages and channels, and the origin of pages with cookies."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from inspect import isawaitable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from modd.checks import checked_callable
from modd.cqrs import Actor
from modd.errors import InvalidOption
from modd.gateway.errors import Refused, RuleFailed
from modd.gateway.exposures import Exposure, Forward, Rule
from modd.gateway.request import Request

Who: TypeAlias = Callable[[Request], Actor | Awaitable[Actor | None] | None]
"""A function, sync or async, from a request to its actor; None for no actor."""

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Admission:
    """Decides who a client is, and whether it may do what it asks for.

    who: the function that knows; None if there is none, so that no client has an actor.
    origins: the origins of pages that may use the gateway, besides its own.
    """

    def __init__(self, who: Who | None, origins: Collection[str]) -> None:
        if who is not None:
            checked_callable("who", who, "give a function from a Request to an Actor or None", arguments=1)
        self._who, self.origins = who, frozenset(origins)

    async def identify(self, request: Request) -> Actor | None:
        """Return the actor of a request; None for no actor.

        Raises `Refused`: that of ``who``, or because a page of a foreign origin used cookies.
        """
        actor = None if self._who is None else await _call("who", self._who, request)
        self.check_origin(request)
        if not actor:
            return None
        if not isinstance(actor, Actor):
            raise RuleFailed("who", f"it returned a value of type {type(actor).__qualname__}, which is no Actor")
        return actor

    def check_origin(self, request: Request) -> None:
        """Raise `Refused` if cookies were used for a change, by a page that is of no allowed origin."""
        if request.used_cookies and request.method not in _SAFE and not self._is_allowed(request):
            raise Refused(403, "A request with cookies has to come from a page of an allowed origin.")

    async def allows(self, exposure: Exposure, actor: Actor | None, message: Any) -> bool:
        """True if an actor may send a message. Raises `RuleFailed`."""
        return await _allows(exposure.allow, actor, message)

    async def allows_channel(self, forward: Forward, actor: Actor | None, channel: str) -> bool:
        """True if an actor may hear the messages of a forward in a channel. Raises `RuleFailed`."""
        return await _allows(forward.allow, actor, channel)

    def _is_allowed(self, request: Request) -> bool:
        origins = request.headers.getlist("origin") or [_origin_of(request.headers.get("referer", ""))]
        if len(origins) != 1:
            return False
        origin = origins[0]
        return origin in self.origins or _is_of_host(origin, request.headers.get("host", ""))


def checked_origins(origins: Any) -> tuple[str, ...]:
    """Return origins, such as ``https://shop.example``. Raises `InvalidOption`."""
    listed = tuple(origins) if isinstance(origins, Collection) and not isinstance(origins, (str, bytes)) else None
    if listed is None or not all(isinstance(each, str) and _ORIGIN.fullmatch(each) for each in listed):
        cure = 'give a list of exact origins in small letters, without a path, such as ["https://shop.example"]'
        raise InvalidOption("origins", origins, cure)
    return listed


def _origin_of(url: str) -> str:
    """Return the origin of a URL; an empty text if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_of_host(origin: str, host: str) -> bool:
    """True if an origin has the host and the port that the request was sent to."""
    scheme, found, name = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if not (found and host and port):
        return False
    return name.removesuffix(port) == host.lower().removesuffix(port)


async def _allows(rule: Rule | None, actor: Actor | None, subject: Any) -> bool:
    if rule is None:
        return actor is not None
    allowed = await _call("allow", rule, actor, subject)
    if callable(allowed):  # such as role("clerk"), which was not asked
        raise RuleFailed("allow", "it returned a function; call that with the actor and the message")
    return bool(allowed)


async def _call(option: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function of the options, sync or async. Raises `Refused` of ``who``, and `RuleFailed`."""
    try:
        result = function(*arguments)
        return await result if isawaitable(result) else result
    except Exception as error:
        if option == "who" and isinstance(error, Refused):
            raise
        raise RuleFailed(option, type(error).__qualname__) from error
