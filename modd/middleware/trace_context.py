"""The stamp that continues a trace: it needs no package for traces, so that every process can pass it on."""

from __future__ import annotations

from typing import ClassVar

from modd.cqrs.stamps import Stamp


class TraceContext(Stamp):
    """The span of a dispatch in W3C Trace Context; messages that the dispatch causes inherit it, also over a queue.

    Pass one to a dispatch to continue a trace from elsewhere: ``dispatch(command, TraceContext(traceparent=...))``.

    traceparent: version, trace id, span id and flags, as in the header of this name.
    tracestate: values of vendors, as in the header of this name; empty by default.
    """

    inherited: ClassVar[bool] = True

    traceparent: str
    tracestate: str = ""
