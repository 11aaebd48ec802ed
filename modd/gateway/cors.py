"""CORS: pages of which origins may read responses."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers

_READ_HEADERS = "content-type, authorization, idempotency-key, prefer, last-event-id, traceparent"
"""The headers of a request that the gateway reads."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": _READ_HEADERS,
    "Access-Control-Max-Age": "600",
}


class Cors:
    """Knows the headers by which pages of other origins may read responses.

    origins: the origins, as browsers send them.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, request: Headers) -> dict[str, str]:
        """Return the headers for the response to a request."""
        origin = self._allowed(request)
        headers = {"Vary": "Origin"}
        if origin is not None:
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
            headers |= {"Access-Control-Expose-Headers": "Retry-After"}
        return headers

    def preflight(self, method: str, request: Headers) -> dict[str, str] | None:
        """Return the headers for the response to a preflight request; None if the request is none that is allowed."""
        if method != "OPTIONS" or "access-control-request-method" not in request or self._allowed(request) is None:
            return None
        return _PREFLIGHT

    def _allowed(self, request: Headers) -> str | None:
        origins = request.getlist("origin")
        return origins[0] if len(origins) == 1 and origins[0] in self._origins else None
