"""The options of a link, checked when it is made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from modd.checks import checked_name, checked_span, checked_text
from modd.errors import InvalidOption

PORT = 4222
"""The port of NATS."""


SERVER_CURE = 'give addresses such as "nats://localhost:4222", or "tls://..." for TLS; several as a list'
AUTH_CURE = "give one of them: user and password, token, credentials, or nkey"


@dataclass(frozen=True)
class LinkOptions:
    """The options of a link.

    name: its name. servers: addresses without users and passwords. secure: True to send nothing without TLS.
    connect_timeout: seconds that a server has to accept a connection. timeout: seconds that a call has.
    monitor: the addresses of the servers' monitoring. client: options of nats-py.
    """

    name: str
    servers: tuple[str, ...]
    secure: bool
    connect_timeout: float
    timeout: float
    monitor: tuple[str, ...]
    client: dict[str, Any] = field(repr=False)


def checked_options(
    servers: Any,
    name: Any,
    auth: dict[str, Any],
    tls: Any,
    timeouts: tuple[Any, Any],
    monitor: Any,
) -> LinkOptions:
    """Return the options of a link. Raises `InvalidOption`."""
    checked_text("name", checked_name(name))
    addresses = [split_server(each) for each in as_list("servers", servers, SERVER_CURE)]
    if tls is not None and not isinstance(tls, SSLContext):
        raise InvalidOption("tls", tls, "give an ssl.SSLContext, such as ssl.create_default_context()")
    return LinkOptions(
        name,
        tuple(dict.fromkeys(f"{each.scheme}://{address_of(each)}" for each in addresses)),
        tls is not None or any(each.scheme == "tls" for each in addresses),
        checked_span("connect_timeout", timeouts[0]),
        checked_span("timeout", timeouts[1]),
        () if monitor is None else tuple(map(checked_monitor, as_list("monitor", monitor, MONITOR_CURE))),
        {"name": name, "tls": tls, **checked_auth(auth, user_in(addresses))},
    )


def as_list(option: str, values: Any, cure: str) -> list[Any]:
    """Return one value or several as a list that is not empty."""
    several = [values] if isinstance(values, str) else list(values) if isinstance(values, Iterable) else []
    if not several:
        raise InvalidOption(option, values, cure)
    return several


def split_server(server: Any) -> SplitResult:
    """Return the parts of a server's address; the error does not show a password."""
    if not isinstance(server, str):
        raise InvalidOption("servers", server, SERVER_CURE)
    parts = urlsplit(server if "://" in server else f"nats://{server}")
    try:
        valid = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0 and not parts.path.strip("/")
    except ValueError:
        valid = False
    if not valid:
        raise InvalidOption("servers", server.rpartition("@")[2], SERVER_CURE)
    return parts


def address_of(parts: SplitResult) -> str:
    """Return the host and the port of an address."""
    host = str(parts.hostname)
    return f"[{host}]:{parts.port or PORT}" if ":" in host else f"{host}:{parts.port or PORT}"


def user_in(addresses: Iterable[SplitResult]) -> dict[str, Any]:
    """Return the user and the password, or the token, that addresses have: one for all servers."""
    users = {(each.username, each.password) for each in addresses if each.username}
    if len(users) > 1:
        raise InvalidOption("servers", f"{len(users)} users", "give one user for all servers")
    for user, password in users:
        if password is None:
            return {"token": unquote(str(user))}
        return {"user": unquote(str(user)), "password": unquote(password)}
    return {}


def checked_auth(auth: dict[str, Any], in_servers: dict[str, Any]) -> dict[str, Any]:
    """Return the options of nats-py that authorise a link, of at most one kind."""
    given = {option: value for option, value in auth.items() if value is not None}
    kinds = {"password" if option == "user" else option for option in given}
    if len(kinds) + bool(in_servers) > 1:
        raise InvalidOption("auth", sorted(given), AUTH_CURE)
    if kinds == {"password"} and len(given) != 2:
        raise InvalidOption("auth", sorted(given), "give user and password together")
    for option in given.keys() & {"user", "password", "token"}:
        if not isinstance(given[option], str):
            raise InvalidOption(option, type(given[option]), "give a text")
    for option, nats_option in (("credentials", "user_credentials"), ("nkey", "nkeys_seed")):
        if option in given:
            return {nats_option: checked_file(option, given[option])}
    return given or in_servers


def checked_file(option: str, path: Any) -> str:
    """Return the path of a file that is there."""
    if not isinstance(path, (str, os.PathLike)) or not Path(path).is_file():
        raise InvalidOption(option, path, "give the path of a file that is there")
    return os.fspath(path)


MONITOR_CURE = 'give the addresses of the monitoring of all servers, such as "http://localhost:8222"'


def checked_monitor(address: Any) -> str:
    """Return the address of a server's monitoring."""
    if not isinstance(address, str) or urlsplit(address).scheme not in ("http", "https"):
        raise InvalidOption("monitor", address, MONITOR_CURE)
    return address.rstrip("/")
