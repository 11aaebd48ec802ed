"""The gateway: the public listener of an app, with HTTP, Server-Sent Events and WebSocket in front of a bus.

Begin reading at `gateway`. It needs the extra ``gateway``; without it, its import raises `MissingExtra`.
"""

from modd.errors import MissingExtra

try:
    from modd.gateway.errors import GatewayMisuse, Refused
    from modd.gateway.exposures import EVERYBODY, accept, answer, forward, role
    from modd.gateway.gateway import Gateway
    from modd.gateway.limits import Limits
    from modd.gateway.request import Request
except ModuleNotFoundError as missing:
    raise MissingExtra("modd.gateway", "gateway") from missing

__all__ = [
    "EVERYBODY",
    "Gateway",
    "GatewayMisuse",
    "Limits",
    "Refused",
    "Request",
    "accept",
    "answer",
    "forward",
    "role",
]
