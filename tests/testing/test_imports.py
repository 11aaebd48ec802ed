"""The names of `modd.testing`: those that need an extra are imported when they are used."""

from __future__ import annotations

import pytest

import modd.testing
from modd.errors import MissingExtra


def test_all_that_is_named_is_there_and_nothing_else() -> None:
    # WM-71
    assert all(hasattr(modd.testing, name) for name in (*modd.testing.__all__, *modd.testing._LAZY))
    with pytest.raises(AttributeError, match="no attribute 'taken'"):
        getattr(modd.testing, "taken")  # noqa: B009


def test_a_module_that_cannot_be_imported_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-71
    monkeypatch.setitem(modd.testing._LAZY, "aggregate_machine", ("modd.testing.gone", "hypothesis"))
    with pytest.raises(MissingExtra, match=r"pip install modd\[hypothesis\]"):
        getattr(modd.testing, "aggregate_machine")  # noqa: B009
