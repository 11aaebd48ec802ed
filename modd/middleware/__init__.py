"""Ready-made middleware for typed buses, one file each (`docs/understand/middleware.md`).

`Webhook` and `Tracing` need an extra and are imported lazily, by name; ``from modd.middleware import *`` leaves them
out.
"""

from typing import TYPE_CHECKING, Any  # noqa: TID251  # for type checkers, of names that are imported lazily; no cycle is hidden

from modd.cqrs.chain import Middleware, Next
from modd.errors import MissingExtra
from modd.extras import import_lazily
from modd.middleware.authorizer import Authorizer, anyone, authenticated, has_role
from modd.middleware.caching.cacher import Cacher, CacherOptions
from modd.middleware.circuit_breaker import CircuitBreaker, CircuitBreakerOptions
from modd.middleware.enqueue import Enqueue, EnqueueOptions
from modd.middleware.feature_flag import FeatureFlag, FeatureFlagOptions
from modd.middleware.idempotency import Idempotency
from modd.middleware.lock import Lock, LockLost, LockOptions
from modd.middleware.logger import Logger, LoggerOptions, structlog_adapter
from modd.middleware.mocker import Mocker
from modd.middleware.rate_limit import RateLimit, RateLimitOptions
from modd.middleware.retryer import Retryer, RetryerOptions
from modd.middleware.timeout import Timeout, TimeoutOptions
from modd.middleware.transactional import Transactional
from modd.middleware.validator import Validator, ValidatorOptions

if TYPE_CHECKING:
    from modd.middleware.trace_context import TraceContext as TraceContext
    from modd.middleware.tracing import Tracing as Tracing
    from modd.middleware.webhook.addresses import AddressRefused as AddressRefused
    from modd.middleware.webhook.endpoint import Endpoint as Endpoint
    from modd.middleware.webhook.webhook import Webhook as Webhook
    from modd.middleware.webhook.webhook import WebhookOptions as WebhookOptions


_LAZY = {
    "AddressRefused": ("modd.middleware.webhook.addresses", "webhook"),
    "Endpoint": ("modd.middleware.webhook.endpoint", "webhook"),
    "TraceContext": ("modd.middleware.trace_context", "tracing"),
    "Tracing": ("modd.middleware.tracing", "tracing"),
    "Webhook": ("modd.middleware.webhook.webhook", "webhook"),
    "WebhookOptions": ("modd.middleware.webhook.webhook", "webhook"),
}
"""The module and the extra of each name that needs an extra."""


__all__ = [
    "Authorizer",
    "Cacher",
    "CacherOptions",
    "CircuitBreaker",
    "CircuitBreakerOptions",
    "Enqueue",
    "EnqueueOptions",
    "FeatureFlag",
    "FeatureFlagOptions",
    "Idempotency",
    "Lock",
    "LockLost",
    "LockOptions",
    "Logger",
    "LoggerOptions",
    "Middleware",
    "MissingExtra",
    "Mocker",
    "Next",
    "RateLimit",
    "RateLimitOptions",
    "Retryer",
    "RetryerOptions",
    "Timeout",
    "TimeoutOptions",
    "Transactional",
    "Validator",
    "ValidatorOptions",
    "anyone",
    "authenticated",
    "has_role",
    "structlog_adapter",
]


def __getattr__(name: str) -> Any:
    return import_lazily(__name__, name, _LAZY)
