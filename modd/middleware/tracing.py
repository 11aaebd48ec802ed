"""Tracing: a span of OpenTelemetry for each dispatch; spans follow causation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Failed, Handled, Identity, Stamp
from modd.errors import InvalidOption

_w3c = TraceContextTextMapPropagator()


_INSIDE = contexts.create_key("modd.inside")
"""The key in a context of OpenTelemetry under which the dispatch that it is of is noted."""


class TraceContext(Stamp):
    """The span of a dispatch, as W3C Trace Context writes it; what the dispatch causes gets it, over a queue too.

    Give one with a dispatch to go on with a trace from elsewhere: ``dispatch(command, TraceContext(traceparent=...))``.
    """

    inherited: ClassVar[bool] = True

    traceparent: str
    tracestate: str = ""


class Tracing:
    """Makes a span for each dispatch, named ``<bus> <Type>``; needs ``modd[tracing]``.

    Give it outermost; inside a `Retryer` each attempt has a span. The span is a child of the one of the dispatch that
    caused this one, or is current there; without a cause, of the current span. What is caused later, when that span has
    ended or in another process, follows it by the stamp `TraceContext`.

    tracer: by default ``opentelemetry.trace.get_tracer("modd")``.

    Attributes: ``modd.core.bus``, ``modd.kind``, ``modd.type``, ``modd.message_id``, ``modd.correlation_id``,
    ``modd.causation_id``; no content of messages. An error is recorded with its text, and the
    text of a new `Failed` stamp is the status of the span. Raises `InvalidOption` for what is no tracer.
    """

    stamps: ClassVar[tuple[type[Stamp], ...]] = (TraceContext,)
    """What a codec has to know."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        if tracer is not None and not isinstance(tracer, Tracer):
            raise InvalidOption("Tracing(tracer)", tracer, "give a tracer of OpenTelemetry, or None")
        self._tracer = tracer or trace.get_tracer("modd")

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on inside a span."""
        around = _around(envelope)
        span = self._tracer.start_span(f"{envelope.bus.name} {type(envelope.message).__qualname__}", around)
        if span.is_recording():
            span.set_attributes(_attributes(envelope))
        failed = len(envelope.all(Failed))
        with _inside(span, around, envelope):
            await call_next(envelope)
            failures = envelope.all(Failed)[failed:]
            if failures:
                span.set_status(Status(StatusCode.ERROR, failures[-1].error))


def _around(envelope: Envelope[Any]) -> Context:
    """The context that the span belongs in."""
    current, cause = contexts.get_current(), envelope.last(TraceContext)
    if cause is None or contexts.get_value(_INSIDE, current) == cause.traceparent:
        return current  # in the middle of the cause: the handler may have a span of its own open
    carrier = {"traceparent": cause.traceparent, "tracestate": cause.tracestate}
    return _w3c.extract({name: text for name, text in carrier.items() if text}, current)


@contextmanager
def _inside(span: Span, around: Context, envelope: Envelope[Any]) -> Iterator[None]:
    """The span as the current one, on the envelope too, until the block ends."""
    carrier: dict[str, str] = {}
    within = trace.set_span_in_context(span, around)
    _w3c.inject(carrier, within)
    if carrier:  # there is something to follow
        _stamp(envelope, carrier)
        within = contexts.set_value(_INSIDE, carrier["traceparent"], within)
    token = contexts.attach(within)
    try:
        with trace.use_span(span, end_on_exit=True):
            yield
    finally:
        contexts.detach(token)


def _stamp(envelope: Envelope[Any], carrier: dict[str, str]) -> None:
    if envelope.has(TraceContext) and not envelope.has(Handled):  # or else a line of causes would carry ever more
        envelope.reset(
            [stamp for stamp in envelope.stamps if not isinstance(stamp, (Identity, TraceContext))], ran=envelope.ran
        )
    envelope.add(TraceContext(carrier["traceparent"], carrier.get("tracestate", ""), at=envelope.bus.clock()))


def _attributes(envelope: Envelope[Any]) -> dict[str, str]:
    attributes = {
        "modd.core.bus": envelope.bus.name,
        "modd.kind": envelope.bus.kind.__name__.lower(),
        "modd.type": type(envelope.message).__qualname__,
        "modd.message_id": envelope.id,
        "modd.correlation_id": envelope.correlation_id,
        "modd.causation_id": envelope.causation_id,
    }
    return {name: value for name, value in attributes.items() if value is not None}
