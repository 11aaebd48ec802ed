"""Typed buses for commands, queries and events, with envelopes, stamps and middleware (`docs/cqrs.md`).

Read it in this order: `intents` and `buses`, `typed_bus` (the dispatch), `registry` and `handlers`, `chain` (middleware
around handlers), `envelope` and `stamps`, `result`.
"""

from modd.cqrs.buses import CommandBus, EventBus, QueryBus
from modd.cqrs.chain import Middleware, Next
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import (
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    GiveUp,
    HandlersFailed,
    InvalidHandler,
    InvalidIntent,
    InvalidMiddleware,
    LockTimeout,
    NoHandler,
    NotAnswered,
    NotOpen,
    RateLimited,
    RetryLater,
    Sealed,
    Undecodable,
    UnsafeOrder,
    WrongBus,
)
from modd.cqrs.handlers import Ask, Emit
from modd.cqrs.intents import Command, Event, Query
from modd.cqrs.result import Dispatched
from modd.cqrs.stamps import (
    Actor,
    Cacheable,
    Delay,
    Emitted,
    Failed,
    FallbackUsed,
    FromCache,
    Handled,
    Identity,
    OnlyHandler,
    Queued,
    Received,
    Redispatched,
    Retried,
    Revalidating,
    Stamp,
    Tenant,
    Timings,
    UnknownStamp,
    WebhookCalled,
)
from modd.cqrs.typed_bus import TypedBus
from modd.cqrs.upcasting import InvalidUpcasters, Upcaster
from modd.errors import MultipleHandlers

__all__ = [
    "Actor",
    "Ask",
    "Cacheable",
    "CircuitOpen",
    "Codec",
    "Command",
    "CommandBus",
    "Delay",
    "DispatchTimeout",
    "Dispatched",
    "Emit",
    "Emitted",
    "Envelope",
    "Event",
    "EventBus",
    "Failed",
    "FallbackUsed",
    "FeatureDisabled",
    "Forbidden",
    "FromCache",
    "GiveUp",
    "Handled",
    "HandlersFailed",
    "Identity",
    "InvalidHandler",
    "InvalidIntent",
    "InvalidMiddleware",
    "InvalidUpcasters",
    "LockTimeout",
    "Middleware",
    "MultipleHandlers",
    "Next",
    "NoHandler",
    "NotAnswered",
    "NotOpen",
    "OnlyHandler",
    "Query",
    "QueryBus",
    "Queued",
    "RateLimited",
    "Received",
    "Redispatched",
    "Retried",
    "RetryLater",
    "Revalidating",
    "Sealed",
    "Stamp",
    "Tenant",
    "Timings",
    "TypedBus",
    "Undecodable",
    "UnknownStamp",
    "UnsafeOrder",
    "Upcaster",
    "WebhookCalled",
    "WrongBus",
]
