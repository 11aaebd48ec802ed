"""The rights of the processes of a shop, as the page of the book has them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.nats.server import NatsServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "nats.md"


def permissions() -> str:
    """Return the account file of the page."""
    [found] = re.findall(r"```text\n(accounts .*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def address_of(server: NatsServer, user: str) -> str:
    """Return the address of a server for a user of the account file."""
    return server.url.replace("//", f"//{user}:{user}-password@")
