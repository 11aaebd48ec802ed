"""Tracing makes an OpenTelemetry span for each dispatch; spans follow causation."""

from __future__ import annotations

from collections.abc import Sequence
from traceback import format_exception
from typing import Any, ClassVar

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from modd.concurrency.cancellation import call
from modd.core import error_text, mask_error, mask_secrets, show_safely
from modd.cqrs.chain import Middleware, Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Failed, Handled, Identity, Stamp
from modd.errors import InvalidOption
from modd.middleware.trace_context import TraceContext
from modd.texts import full_name

_w3c = TraceContextTextMapPropagator()


_DISPATCH_SPAN = contexts.create_key("modd.dispatch_span")
"""The key in an OpenTelemetry context for the ``traceparent`` of the dispatch that runs in it."""


class Tracing(Middleware):
    """Makes a span for each dispatch, named ``<bus> <Type>``; needs ``modd[tracing]``.

    Add it outermost; inside a `Retryer` each attempt gets a span. The parent is the span of the dispatch that caused
    this one, or a span that is open within it; without a cause, the current span. A message that is dispatched after
    its cause has ended, or in another process, finds its parent by the stamp `TraceContext`.

    Attributes: ``modd.bus``, ``modd.kind``, ``modd.type``, ``modd.message_id``, ``modd.correlation_id``,
    ``modd.causation_id``; no content of messages. An error is recorded with its text, and the text of a new `Failed`
    stamp becomes the status of the span.

    tracer: makes the spans; by default ``opentelemetry.trace.get_tracer("modd")``.

    Raises:
        InvalidOption: ``tracer`` is no tracer of OpenTelemetry.
    """

    stamps: ClassVar[tuple[type[Stamp], ...]] = (TraceContext,)
    """The types of stamps that a codec has to know."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        if tracer is not None and not isinstance(tracer, Tracer):
            raise InvalidOption("Tracing(tracer)", tracer, "give a tracer of OpenTelemetry, or None")
        self._tracer = tracer or trace.get_tracer("modd")

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link inside a span."""
        parent = _parent(envelope)
        span = self._tracer.start_span(f"{envelope.bus.name} {type(envelope.message).__qualname__}", parent)
        if span.is_recording():
            span.set_attributes(_attributes(envelope))
        failed = len(envelope.all(Failed))
        token = contexts.attach(_activate(span, parent, envelope))
        try:
            await call(call_next, envelope)
        except Exception as error:
            if span.is_recording():
                _record(span, error, envelope.message)
            raise
        finally:
            contexts.detach(token)
            _end(span, envelope, envelope.all(Failed)[failed:])


def _parent(envelope: Envelope[Any]) -> Context:
    """Return the context whose span is the parent."""
    current, cause = contexts.get_current(), envelope.last(TraceContext)
    if cause is None or contexts.get_value(_DISPATCH_SPAN, current) == cause.traceparent:
        return current  # the cause is still running, and its handler may have opened a span of its own
    carrier = {"traceparent": cause.traceparent, "tracestate": cause.tracestate}
    return _w3c.extract({name: text for name, text in carrier.items() if text}, current)


def _activate(span: Span, parent: Context, envelope: Envelope[Any]) -> Context:
    """Return the context in which the span is the current one, and add the span to the envelope as a stamp."""
    carrier: dict[str, str] = {}
    context = trace.set_span_in_context(span, parent)
    _w3c.inject(carrier, context)
    if carrier:  # empty for a span that is not recorded
        _stamp(envelope, carrier)
        context = contexts.set_value(_DISPATCH_SPAN, carrier["traceparent"], context)
    return context


def _record(span: Span, error: Exception, message: Any) -> None:
    """Record an error as OpenTelemetry does, with texts that are made safely and have no secrets of the message."""
    text, kind = error_text(error, message), full_name(type(error))
    attributes = {
        "exception.type": kind.removeprefix("builtins."),
        "exception.message": text.removeprefix(f"{type(error).__name__}: "),
        "exception.stacktrace": mask_error(show_safely(_stacktrace, error), error, message),
        "exception.escaped": "False",
    }
    span.add_event("exception", attributes)
    span.set_status(Status(StatusCode.ERROR, text))


def _stacktrace(error: Exception) -> str:
    return "".join(format_exception(error))


def _end(span: Span, envelope: Envelope[Any], failures: Sequence[Failed]) -> None:
    if failures:
        span.set_status(Status(StatusCode.ERROR, mask_secrets(failures[-1].error, envelope.message)))
    span.end()


def _stamp(envelope: Envelope[Any], carrier: dict[str, str]) -> None:
    if envelope.has(TraceContext) and not envelope.has(Handled):  # else a chain of causes would collect one stamp each
        envelope.reset(
            [stamp for stamp in envelope.stamps if not isinstance(stamp, (Identity, TraceContext))], ran=envelope.ran
        )
    envelope.add(TraceContext(carrier["traceparent"], carrier.get("tracestate", ""), at=envelope.bus.clock()))


def _attributes(envelope: Envelope[Any]) -> dict[str, str]:
    attributes = {
        "modd.bus": envelope.bus.name,
        "modd.kind": envelope.bus.kind.__name__.lower(),
        "modd.type": type(envelope.message).__qualname__,
        "modd.message_id": envelope.id,
        "modd.correlation_id": envelope.correlation_id,
        "modd.causation_id": envelope.causation_id,
    }
    return {name: value for name, value in attributes.items() if value is not None}
