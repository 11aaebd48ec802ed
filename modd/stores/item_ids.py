"""Ids of queue items in a table.

An item that was put without an id is called by the nonce of the store and its position in hexadecimal: nonce
``9f0c17a2b4d1`` and position 0x6127 make ``9f0c17a2b4d16127``. So these ids take no space in the table.
"""

from __future__ import annotations

from hashlib import blake2b


def queue_number(queue: str) -> int:
    """Return the number that stands for a queue in a table: 48 bits of a hash of its name, known without a query."""
    return int.from_bytes(blake2b(queue.encode(errors="surrogatepass"), digest_size=6).digest(), "big")


def id_at(nonce: str, position: int) -> str:
    """Return the id of an item that was put without one."""
    return f"{nonce}{position:x}"


def position_in(nonce: str, id: str) -> int | None:
    """Return the position in an id that is made of nonce and position; None for any other id."""
    text = id.removeprefix(nonce)
    try:
        position = int(text, 16)
    except ValueError:
        return None
    return position if len(text) < 16 and id_at(nonce, position) == id else None
