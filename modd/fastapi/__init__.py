"""FastAPI: messages as bodies, a bus for each request, and errors as responses (`docs/how-to/fastapi.md`).

It needs the extra ``fastapi``; without it, the import of this package raises `MissingExtra`.
"""

from modd.errors import MissingExtra

try:
    from modd.fastapi.body import Body
    from modd.fastapi.install import install
    from modd.fastapi.request_bus import Accepted, NotInstalled, RequestBus, bus_with
    from modd.http_errors import STATUSES
except ModuleNotFoundError as missing:
    raise MissingExtra("modd.fastapi", "fastapi") from missing

__all__ = [
    "STATUSES",
    "Accepted",
    "Body",
    "NotInstalled",
    "RequestBus",
    "bus_with",
    "install",
]
