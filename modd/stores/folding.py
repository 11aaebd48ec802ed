"""Folding values into documents, in whatever they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from modd.checks import checked_callable
from modd.errors import InvalidOption
from modd.stores.checks import checked_body, checked_document_key


class Folding(NamedTuple):
    """A call of `Documents.fold`: the pairs of keys and values, and the functions."""

    pairs: list[tuple[str, Any]]
    fold: Callable[[Any, Any], Any]
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]

    def run(self, bodies: Mapping[str, bytes]) -> dict[str, bytes | None]:
        """Return the new body of each key, None to remove it; bodies: the present ones."""
        states: dict[str, Any] = {}
        for key, value in self.pairs:
            state = states[key] if key in states else self._decode(bodies.get(key))
            states[key] = self.fold(state, value)
        return {key: None if state is None else self._encode(state) for key, state in states.items()}

    def _decode(self, body: bytes | None) -> Any:
        try:
            return None if body is None else self.decode(body)
        except UnicodeDecodeError as error:  # a store would take it for damage of its own
            raise ValueError(f"a document is no text: {error.reason}") from error

    def _encode(self, state: Any) -> bytes:
        return checked_body("encode", self.encode(state))


def checked_folding(pairs: Iterable[tuple[str, Any]], fold: Any, decode: Any, encode: Any) -> Folding:
    """Return a call of `Documents.fold`. Raises `InvalidOption`."""
    for option, function in (("fold", fold), ("decode", decode), ("encode", encode)):
        checked_callable(option, function)
    return Folding([_checked_pair(pair) for pair in pairs], fold, decode, encode)


def _checked_pair(pair: Any) -> tuple[str, Any]:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise InvalidOption("pairs", type(pair), "give pairs of a key and a value")
    return checked_document_key(pair[0]), pair[1]
