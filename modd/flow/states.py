"""The states of a flow as bytes, with upcasters for those of older versions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

from modd.core import mask_values, misfit_of
from modd.cqrs.decodable import OWN_TYPE, fault_in
from modd.cqrs.round_trip import RoundTrip
from modd.cqrs.upcasting import InvalidUpcasters, Upcaster, chain_to, checked_steps
from modd.cqrs.wire import Decoders, values_in
from modd.errors import InvalidOption
from modd.flow.errors import UnreadableState

S = TypeVar("S")


class StateCodec(Generic[S]):
    """Encodes the states of a flow as JSON, and decodes them.

    flow: the name of the flow. kind: the type of the states. version: that of the states.
    upcasters: functions by version, from each older version to the next; None for no older versions.

    Raises `InvalidOption` for a type that cannot be decoded, `InvalidUpcasters`.
    """

    def __init__(self, flow: str, kind: type[S], version: int, upcasters: Mapping[int, Upcaster] | None) -> None:
        self._flow, self._kind, self._version = flow, kind, version
        read = Decoders("json", None)
        fault = fault_in(kind, read, OWN_TYPE)
        if fault:
            raise InvalidOption("state", kind, f"its states are stored as JSON; {fault}")
        self._decode = read[kind]
        self._chain = chain_to(f"the state of {flow}", _steps(flow, version, upcasters), version, "version")
        self._round_trip = RoundTrip("json", None)

    def encode(self, state: S) -> bytes:
        """Return a state as JSON. Raises `Unencodable` for one that would not come back equal."""
        return self._round_trip.encode_checked(state, self._decode, self._kind)

    def decode(self, data: bytes | msgspec.Raw, version: int) -> S:
        """Return the state in JSON of a version. Raises `UnreadableState`, without values of the state."""
        try:
            state: S = self._decode(data if version == self._version else self._upcast(data, version))
            return state
        except Exception as error:  # of an upcaster, or of a hook of the type
            reason = _without_values(error, data)
        raise UnreadableState(self._flow, version, reason)

    def _upcast(self, data: bytes | msgspec.Raw, version: int) -> bytes:
        if version > self._version:
            cure = "deploy this version everywhere, and resume the instance"
            raise ValueError(f"the newest version that is known here is {self._version}; {cure}")
        return msgspec.json.encode(self._chain.run(version, msgspec.json.decode(data, type=dict[str, Any])))


def _steps(flow: str, version: int, upcasters: Any) -> Mapping[int, Upcaster]:
    if upcasters is None and version > 1:
        cure = f"give upcasters={{{version - 1}: function}} from the oldest version that is left, or {{}} if none is"
        raise InvalidUpcasters(f"the state of {flow}", version - 1, f"version is {version}, and there are none; {cure}")
    if not isinstance(upcasters, (Mapping, type(None))):
        raise InvalidOption("upcasters", upcasters, "give functions by version, such as {1: add_currency}")
    return checked_steps(upcasters or {})


def _without_values(error: Exception, data: Any) -> str:
    """Return the text of an error, with the values of the state masked."""
    where, text = misfit_of(error, "$")
    with suppress(Exception):  # these bytes are no JSON: the text is that of a decoder, and tells a position
        text = mask_values(text, [*values_in(msgspec.json.decode(data))])
    return text if where == "$" else f"{text} - at `{where}`"
