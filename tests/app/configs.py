"""Settings classes for the tests."""

from __future__ import annotations

from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from modd import Sensitive, Value
from modd.app import Settings


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mail(Value, frozen=True):
    host: str
    key: Annotated[str, Sensitive] = ""


class Shop(Settings, prefix="SHOP_"):
    """A shop."""

    db: Path = Path("shop.db")
    """The file of the store,
    in the current folder."""
    reminders: float = 3600.0
    mail_key: Annotated[str, Sensitive]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="The port of the server.")] = 8080
    tags: list[str] = []  # noqa: RUF012
    drain: float = 30.0


class BigShop(Shop):
    branches: Annotated[int, msgspec.Meta(description="not shown")] = 3
    """The number of branches."""


class Secrets(Settings, prefix="S_"):
    pin: Annotated[int, Sensitive] = 1234
    tokens: Annotated[dict[str, int], Sensitive] = {}  # noqa: RUF012
    tags: list[Annotated[int, Sensitive]] = []  # noqa: RUF012
    mail: Mail = Mail(host="localhost", key="hunter2")
    choice: Annotated[Literal["a", "b"], Sensitive] = "a"
    port: Annotated[int, msgspec.Meta(ge=1), Sensitive] = 1


def settings_with(**hints: Any) -> Any:
    """Return a class with these fields."""
    kind: Any = type(Settings)
    return kind("Config", (Settings,), {"__annotations__": hints})
