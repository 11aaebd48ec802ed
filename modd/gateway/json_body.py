"""Bodies of requests as messages: strict JSON, alone or as the data of a cloud event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from modd.core import Message, convert_all, misfit_of, unknown_fields
from modd.cqrs import InvalidIntent
from modd.cqrs.intents import misfit_without_values
from modd.gateway.errors import Refused

DEPTH = 64
"""Objects and arrays inside of each other, at most."""

MOST_MISFITS = 100
"""Parts of a body that do not fit, in one problem: a small body may have very many, and each takes time to find."""

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.?)*"?|[\[{]|[\]}]', re.DOTALL)
"""Texts, which may have any bracket in them, and brackets; in one pass, because no text is looked at twice."""

CLOUD_EVENT = "application/cloudevents+json"
JSON = "application/json"
_CHARSET = re.compile(r';\s*charset="?utf-8"?\s*', re.IGNORECASE)


class CloudEvent(msgspec.Struct):
    """The parts of a cloud event that count.

    type: the name of the command or query. data: its fields. id: the id of the event.
    """

    type: str
    data: msgspec.Raw
    id: str | None = None


def media_type_of(header: str | None) -> str:
    """Return the media type of a body. Raises `Refused` for any other than the two that are taken, with 415."""
    name, mark, rest = (header or "").partition(";")
    name = name.strip().lower()
    if name not in (JSON, CLOUD_EVENT) or (mark and not _CHARSET.fullmatch(mark + rest)):
        raise Refused(415, f"Send {JSON} or {CLOUD_EVENT}, in UTF-8.")
    return name


def open_cloud_event(body: bytes, name: str, kind: type[Message]) -> tuple[bytes, str | None]:
    """Return the data of a cloud event, and its id.

    Raises `Refused` for what is no JSON, and `InvalidIntent` for what is no cloud event of this name.
    """
    parse_json(body, kind)
    try:
        event = msgspec.json.decode(body, type=CloudEvent)
    except msgspec.ValidationError as error:
        raise InvalidIntent(kind, [misfit_of(error, "$")]) from None
    if event.type != name:
        raise InvalidIntent(kind, [("$.type", "Expected the name in the path")])
    return bytes(event.data), event.id


def read_json(kind: type[Message], body: bytes) -> Message:
    """Return the message of a type that JSON has the fields of.

    Raises `Refused` for a body that is no JSON, and `InvalidIntent` with each field that does not fit.
    """
    raw = parse_json(body, kind)
    try:
        made = msgspec.json.decode(body, type=kind)
        first = None
    except msgspec.ValidationError as error:
        made, first = None, misfit_without_values(error, body)
    except msgspec.DecodeError:
        _refuse_syntax()
    if made is not None and not any(unknown_fields(made, raw, kind)):
        return made
    _, misfits = convert_all(raw, kind, MOST_MISFITS)
    found = [(_join(each.path), each.text) for each in misfits]
    raise InvalidIntent(kind, found or [first or ("$", "Invalid value")])


def parse_json(body: bytes, kind: type[Message]) -> Any:
    """Return the values in JSON.

    Raises `Refused` for what is no JSON, and `InvalidIntent` for keys that come twice, for NaN and infinite numbers,
    and for what is nested too deeply.
    """
    if _is_deep(body):
        raise InvalidIntent(kind, [("$", f"Nested more than {DEPTH} deep")])
    try:
        value = json.loads(body.decode(), object_pairs_hook=_Pairs, parse_constant=_Constant)
    except (ValueError, RecursionError):  # errors of UTF-8 and of a number that is too long are among them
        _refuse_syntax()
    faults = [*_faults_in(value, ())]
    if faults:
        raise InvalidIntent(kind, faults)
    return _plain(value)


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of an object, as they came."""


class _Constant(str):
    """NaN or an infinite number."""

    __slots__ = ()


def _is_deep(body: bytes) -> bool:
    depth = 0
    for token in _TOKENS.finditer(body):
        bracket = token[0]
        depth += (bracket in (b"[", b"{")) - (bracket in (b"]", b"}"))
        if depth > DEPTH:
            return True
    return False


def _faults_in(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Constant):
        yield _join(path), "Expected a finite number"
    elif isinstance(value, _Pairs):
        keys: set[str] = set()
        for key, part in value:
            if key in keys:
                yield _join((*path, key)), "Key comes twice"
            keys.add(key)
            yield from _faults_in(part, (*path, key))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _faults_in(part, (*path, at))


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(part) for key, part in value}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _join(path: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _refuse_syntax() -> NoReturn:
    raise Refused(400, "The body is not valid JSON.") from None
