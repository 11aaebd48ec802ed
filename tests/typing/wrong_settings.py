# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of settings; it does not run (see wrong.py)."""

from __future__ import annotations

from pathlib import Path

from modd.app import Settings
from tests.typing.settings import Config, WithoutPrefix

# A field that is required.
Config()  # type: ignore[call-arg]

# A field that is not there.
Config(mail_key="x", colour="red")  # type: ignore[call-arg]

# A value of another type.
Config(mail_key="x", db="shop.db")  # type: ignore[arg-type]

# A field by its position.
WithoutPrefix(Path("x"))  # type: ignore[call-arg]

# A change.
Config(mail_key="x").port = 3  # type: ignore[misc]


class Thawed(Settings, frozen=False):  # type: ignore[misc]
    pass


class Prefixed(Settings, prefix=3):  # pyright: ignore[reportArgumentType]
    pass
