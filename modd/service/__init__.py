"""Services: pure decisions, with the I/O around them (`docs/understand/service.md`).

Read it in this order: `service` (the decision), `handler` (the I/O around it), `purity` and `watch` (the guard).
"""

from modd.service.entropy import Entropy
from modd.service.errors import DomainError, ImpureCall, TooFewValues
from modd.service.handler import Handler
from modd.service.purity import pure
from modd.service.server_error import ServerError
from modd.service.service import Service

__all__ = [
    "DomainError",
    "Entropy",
    "Handler",
    "ImpureCall",
    "ServerError",
    "Service",
    "TooFewValues",
    "pure",
]
