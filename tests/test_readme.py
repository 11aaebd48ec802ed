"""README names the extras, and leads to the pages that a reader needs first."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[1]


def test_readme_names_each_extra() -> None:
    # AP-80
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [extra for extra in extras if f"`{extra}`" not in text] == []


@pytest.mark.parametrize("page", ["app", "settings", "timers"])
@pytest.mark.parametrize("start", ["README.md", "docs/skill.md", "docs/understand/index.md"])
def test_the_pages_about_an_app_are_linked_from_where_readers_begin(start: str, page: str) -> None:
    # AP-80
    assert f"how-to/{page}.md" in (ROOT / start).read_text(encoding="utf-8")
