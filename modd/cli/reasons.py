"""The reasons for which flows and projections fail, without sensitive values of events and states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from modd.cli.content import MASK_TEXT, decode_data, mask_of
from modd.cli.event_content import marked_values
from modd.core import Message
from modd.cqrs.codec import Codec
from modd.cqrs.wire import values_in
from modd.flow import Flow
from modd.follower.instances import FlowInstance


class Reasons:
    """Masks reasons: with types the sensitive fields of an event and a state, and without types all of their values.

    codecs: decode events. flows: by their names; they decode states. is_raw: True to mask nothing.
    """

    def __init__(
        self, codecs: Sequence[Codec] = (), flows: Mapping[str, Flow[Any]] = {}, *, is_raw: bool = False
    ) -> None:
        self._codecs, self._flows, self._is_raw = codecs, flows, is_raw

    def mask(self, reason: str, event: bytes | None, flow: str = "", instance: FlowInstance | None = None) -> str:
        """Return a reason without sensitive values.

        event: the event at hand, encoded; None for a timeout. flow, instance: the name, and the instance, if any.
        """
        if self._is_raw:
            return reason
        of_event = iter(()) if event is None else self._values_of(event)
        of_state = iter(()) if instance is None else self._values_in(flow, instance)
        try:
            return mask_of(chain(of_event, of_state))(reason)
        except RecursionError:
            return MASK_TEXT

    def _values_of(self, event: bytes) -> Iterator[Any]:
        message = self._decode(event)
        return values_in(decode_data(event)) if message is None else marked_values(message)

    def _decode(self, event: bytes) -> Message | None:
        for codec in self._codecs:
            try:
                return codec.decode_message(event)
            except Exception:  # an upcaster may raise anything
                continue
        return None

    def _values_in(self, flow: str, instance: FlowInstance) -> Iterator[Any]:
        if flow in self._flows:
            try:
                return marked_values(self._flows[flow].states.decode(instance.state, instance.version))
            except Exception:
                return values_in(decode_data(bytes(instance.state)))
        return values_in(decode_data(bytes(instance.state)))
