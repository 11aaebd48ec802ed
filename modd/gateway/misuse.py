"""Misuse of a gateway: the checks of its options when it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from modd.checks import checked_callable, checked_flag, checked_methods
from modd.core import Bus
from modd.cqrs import Codec, Command, Query, TypedBus
from modd.cqrs.handled import is_handled
from modd.errors import DuplicateName, InvalidOption
from modd.gateway.errors import GatewayMisuse
from modd.gateway.exposures import Exposure, Forward
from modd.gateway.limits import Limits
from modd.gateway.schemas import faults_of_schemas


def checked_exposures(exposures: Sequence[Any]) -> tuple[list[Exposure], list[Forward]]:
    """Return the exposures of commands and queries, and the forwards. Raises `InvalidOption`."""
    sent = [each for each in exposures if isinstance(each, Exposure)]
    forwards = [each for each in exposures if isinstance(each, Forward)]
    for each in exposures:
        if not isinstance(each, (Exposure, Forward)):
            raise InvalidOption("exposures", each, "give values of accept(), answer() and forward(), one by one")
    if not exposures:
        raise InvalidOption("exposures", (), "give at least one after the bus: accept(), answer() or forward()")
    return sent, forwards


def check_options(bus: Any, feed: Any, codec: Any, who: Any, limits: Any, describe: Any) -> None:
    """Raise `InvalidOption` for an option of a wrong type."""
    if not isinstance(bus, (Bus, TypedBus)):
        raise InvalidOption("bus", bus, "give a modd.Bus, or a typed bus")
    if feed is not None:
        checked_methods("feed", feed, ("follow", "span", "epoch"), "give a feed, such as store.feed('public')")
    if codec is not None and not isinstance(codec, Codec):
        raise InvalidOption("codec", codec, "give a modd.cqrs.Codec of the types that are forwarded")
    if who is not None:
        checked_callable("who", who, "give a function from a Request to an Actor or None")
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidOption("limits", limits, "give modd.gateway.Limits(...)")
    checked_flag("describe", describe)


def check_together(
    bus: Bus | TypedBus,
    sent: Sequence[Exposure],
    forwards: Sequence[Forward],
    feed: Any,
    who: Any,
    place: tuple[str, int] | None,
    *,
    describe: bool,
) -> None:
    """Raise `GatewayMisuse` for things that do not go together, and `DuplicateName` for two exposures of one name."""
    faults = [*_faults_of_types(bus, sent), *_faults_of_access(sent, forwards, feed, who, place)]
    if describe:
        faults += faults_of_schemas(sent, forwards)
    if faults:
        raise GatewayMisuse(faults)
    _check_names_in_paths(sent, forwards)


def checked_place(listen: Any) -> tuple[str, int]:
    """Return the host and the port in a text. Raises `InvalidOption`."""
    with suppress(ValueError):
        parts = urlsplit(f"//{listen}" if isinstance(listen, str) else "")
        if parts.hostname and parts.port is not None and not parts.path and "@" not in parts.netloc:
            return parts.hostname, parts.port
    raise InvalidOption("listen", listen, 'give host and port, such as "127.0.0.1:8000" or "[::1]:8000"')


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _faults_of_types(bus: Bus | TypedBus, exposures: Sequence[Exposure]) -> Iterator[str]:
    """Yield the faults of types of the wrong kind, and of types without a handler in the bus."""
    kinds = {"commands": (Command, "a command"), "queries": (Query, "a query")}
    for each in exposures:
        base, noun = kinds[each.way]
        if not issubclass(each.kind, base):
            yield f"{each.label}: {each.kind.__qualname__} is not {noun}; accept commands, answer queries"
        elif not is_handled(bus, each.kind):
            yield f"{each.label}: {bus.name} has no handler for it; register one before you make the gateway"


def _faults_of_access(
    exposures: Sequence[Exposure], forwards: Sequence[Forward], feed: Any, who: Any, place: tuple[str, int] | None
) -> Iterator[str]:
    """Yield the faults of rules that nothing can decide, and of events that come from nowhere."""
    for forward in forwards if feed is None else ():
        yield f"{forward.label}: the gateway has no feed; give it feed=..."
    if who is not None:
        return
    every: list[Exposure | Forward] = [*exposures, *forwards]
    for each in every:
        if each.allow is None:
            public = f"{each.label[:-1]}, allow=EVERYBODY)"
            yield f"{each.label}: no client has an actor; give the gateway who=..., or {public}"
    private = [each.label for each in every if not each.is_public]
    if place is not None and private and not _is_loopback(place[0]):
        yield f"{', '.join(private)}: not public, at {place[0]}, without who; give who=..., or listen at 127.0.0.1"


def _check_names_in_paths(exposures: Sequence[Exposure], forwards: Sequence[Forward]) -> None:
    """Raise `DuplicateName` for two commands, two queries or two events of one name."""
    named: list[tuple[tuple[str, str], type]] = [((each.way, each.name), each.kind) for each in exposures]
    named += [(("events", name), kind) for each in forwards for kind, name in each.names.items()]
    counts = Counter(key for key, _ in named)
    for key, count in counts.items():
        if count > 1:
            first, second, *_ = [kind for each, kind in named if each == key]
            raise DuplicateName(key[1], first, second, f"the gateway, among its {key[0]},")
