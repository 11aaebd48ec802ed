"""What users write of settings, and the types it has: both checkers must accept it, and it runs (test_typing.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, assert_type

import msgspec

from modd import Sensitive
from modd.app import Settings


class Config(Settings, prefix="SHOP_"):
    db: Path = Path("shop.db")
    port: Annotated[int, msgspec.Meta(ge=1)] = 80
    mail_key: Annotated[str, Sensitive]  # required, behind fields with defaults
    tags: list[str] = msgspec.field(default_factory=list)


class OtherConfig(Config, prefix="TEST_", frozen=True):
    count: int


class WithoutPrefix(Settings):
    db: Path


def use_settings() -> None:
    config = Config.load({"SHOP_MAIL_KEY": "x"})
    assert_type(config, Config)
    assert_type(config.db, Path)
    assert_type(config.mail_key, str)
    assert_type(OtherConfig.load({"TEST_MAIL_KEY": "x", "TEST_COUNT": "3"}).count, int)
    assert_type(Config(mail_key="x"), Config)
    assert_type(OtherConfig(mail_key="x", count=3, port=1).port, int)
    for variable, kind, default, doc in Config.describe():
        assert_type((variable, kind, default, doc), tuple[str, str, str, str])
    assert_type(Config.describe()[0].variable, str)
    assert WithoutPrefix(db=Path("x")).db == Path("x")
