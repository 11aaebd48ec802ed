"""Middleware that need an extra are imported lazily."""

from __future__ import annotations

import subprocess
import sys

import pytest

import modd.middleware
from modd.middleware import MissingExtra

WITHOUT = """
import sys
sys.modules["httpx2"] = sys.modules["opentelemetry"] = None
import modd.middleware
from modd.middleware import Cacher, Enqueue, Validator
for name in ("Webhook", "Endpoint", "Tracing"):
    try:
        getattr(modd.middleware, name)
    except modd.middleware.MissingExtra as missing:
        print(missing)
there = {}
exec("from modd.middleware import *", there)
print("Cacher" in there, "Webhook" in there)
"""


@pytest.mark.slow
def test_without_the_extras_all_others_are_there_and_the_error_says_what_to_install() -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [
        "Webhook needs packages that are not installed: pip install modd[webhook]",
        "Webhook needs packages that are not installed: pip install modd[webhook]",
        "Tracing needs packages that are not installed: pip install modd[tracing]",
        "True False",
    ]


def test_all_that_is_named_is_there_and_nothing_else() -> None:
    assert all(hasattr(modd.middleware, name) for name in (*modd.middleware.__all__, *modd.middleware._LAZY))
    with pytest.raises(AttributeError, match="no attribute 'Chacher'"):
        getattr(modd.middleware, "Chacher")  # noqa: B009


def test_a_lazy_module_that_cannot_be_imported_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(modd.middleware._LAZY, "Tracing", ("modd.middleware.gone", "tracing"))
    with pytest.raises(MissingExtra, match=r"pip install modd\[tracing\]"):
        getattr(modd.middleware, "Tracing")  # noqa: B009
