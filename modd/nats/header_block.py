"""Headers as bytes: lines of names and values, in which the first one may have a status."""

from __future__ import annotations

from collections.abc import Mapping


def encode_block(headers: Mapping[str, str]) -> bytes:
    """Return the bytes of headers that were checked."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def decode_block(block: bytes | None) -> dict[str, str]:
    """Return the headers of a message, with ``Status`` and ``Description`` if it has a status."""
    if not block:
        return {}
    first, *lines = block.decode(errors="replace").split("\r\n")
    headers = _read_status(first) if " " in first else {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def _read_status(line: str) -> dict[str, str]:
    status, _, description = line.partition(" ")[2].strip().partition(" ")
    if not status.isdigit():
        return {}
    return {"Status": status, "Description": description} if description else {"Status": status}
