"""The request of a client, as the options ``who`` and ``allow`` see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection


class Request:
    """A request, or the request that opens a WebSocket.

    connection: the request of Starlette.
    address: the address of the client, past trusted proxies.
    token: a token that came outside of the header ``Authorization``; by default None.
    """

    def __init__(self, connection: HTTPConnection, address: str, token: str | None = None) -> None:
        self._connection, self.address, self._token = connection, address, token
        self.used_cookies = False
        """True once a cookie was read that the request has."""

    @property
    def headers(self) -> Headers:
        """The headers but for the cookies, which `cookie` returns; names are not case-sensitive."""
        return Headers(raw=[each for each in self._connection.headers.raw if each[0].lower() != b"cookie"])

    @property
    def query(self) -> QueryParams:
        """The parameters in the query of the URL."""
        return self._connection.query_params

    @property
    def path(self) -> str:
        """The path, without the prefix under which the gateway is mounted."""
        return path_of(self._connection.scope)

    @property
    def method(self) -> str:
        """The method, in capital letters; of a WebSocket, ``WEBSOCKET``."""
        return str(self._connection.scope.get("method", "WEBSOCKET"))

    @property
    def bearer(self) -> str | None:
        """The token of ``Authorization: Bearer TOKEN``; None without one, or if there is more than one such header."""
        if self._token is not None:
            return self._token
        values = self.headers.getlist("authorization")
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        return (token.strip() or None) if scheme.lower() == "bearer" else None

    def cookie(self, name: str) -> str | None:
        """Return a cookie, or None.

        If a cookie was used, a request that may change something has to come from a page of this host or of
        ``origins``.
        """
        value = self._connection.cookies.get(name)
        self.used_cookies |= value is not None
        return value

    def with_token(self, token: str) -> Request:
        """Return the same request with a new token in `bearer`."""
        return Request(self._connection, self.address, token)


def path_of(scope: Mapping[str, Any]) -> str:
    """Return the path of a request, without the prefix under which the app is mounted."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path
