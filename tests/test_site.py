"""The site of the book: its links, its reference, and the files for coding assistants."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from bs4.filter import SoupStrainer

from book.command_line import TOOLS, help_of
from book.docstrings import PACKAGES
from book.pages import pages
from book.site import BuildFailed, build_site, lay_out, run_zensical
from modd import Bus, middleware
from modd.cqrs import EventBus, TypedBus
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["'](https?:[^"']+)""")
"""The address of a thing that a page loads; a link to elsewhere loads nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, which fails for a broken link or anchor."""
    return build_site(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def reference(site: Path) -> dict[str, Tag]:
    """The section of each public name, by path."""
    found: dict[str, Tag] = {}
    for page in (site / "reference").glob("*.html"):
        text, article = page.read_text(encoding="utf-8"), SoupStrainer("article")
        soup = BeautifulSoup(text, "html.parser", parse_only=article)
        found |= {str(each["id"]): each.parent for each in soup.select(".doc-object > .doc-heading[id]") if each.parent}
    return found


def public_objects() -> dict[str, Any]:
    """Return each public object by the path that the reference has it at."""
    by_name: dict[tuple[str, int], tuple[str, Any]] = {}
    for package in PACKAGES:
        module = import_module(f"modd{package}")
        lazy = getattr(module, "_LAZY", ())
        for name in [*module.__all__, *lazy]:
            value = getattr(module, name)
            by_name.setdefault((name, id(value)), (f"modd{package}.{name}", value))
    return dict(by_name.values())


def public_classes() -> list[Any]:
    """Return the public classes with a constructor of their own, with the path of each."""
    classes = {path: value for path, value in public_objects().items() if inspect.isclass(value)}
    return [pytest.param(path, value, id=path) for path, value in classes.items() if has_constructor(value)]


def has_constructor(class_: type) -> bool:
    return inspect.isfunction(vars(class_).get("__init__")) and not getattr(class_, "_is_protocol", False)


def options_of(section: Tag) -> dict[str, str]:
    """Return the text of the default of each option in the table of a section."""
    tables = [each for each in section.find_all("table") if "Default" in each.get_text()]
    rows = [row.find_all("td") for each in tables[:1] for row in each.find_all("tr")]
    texts = [[cell.get_text(" ", strip=True) for cell in row] for row in rows]
    return {cells[0].lstrip("*"): cells[3] for cells in texts if cells}


def wrong_options(class_: type, printed: dict[str, str]) -> list[str]:
    """Return the options of a class that its table lacks, or has with another default."""
    parameters = [*inspect.signature(class_).parameters.values()]
    return [each.name for each in parameters if not is_right(each, printed.get(each.name), class_)]


def is_right(parameter: inspect.Parameter, printed: str | None, class_: type) -> bool:
    if printed is None:
        return False
    if parameter.default is parameter.empty:
        return printed in ("required", "{}", "()", "")
    if printed in (getattr(parameter.default, "__name__", None), getattr(parameter.default, "name", None)):
        return True
    value: object = eval(printed, vars(sys.modules[class_.__module__]))
    return bool(value == parameter.default)


def test_every_public_name_has_one_line_in_a_page_of_the_reference() -> None:
    # BK-2
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/reference").glob("*.md"))
    named = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    suites = [name for name in named if name.startswith("modd.testing.conformance.")]
    missing, extra = set(public_objects()) - set(named), set(named) - set(public_objects()) - set(suites)
    assert not missing, f"add these lines to docs/reference: {[f'::: {name}' for name in sorted(missing)]}"
    assert not extra, f"remove from docs/reference: {sorted(extra)}"
    assert len(named) == len(set(named))


def test_every_public_name_has_a_section(reference: dict[str, Tag]) -> None:
    # BK-2
    assert sorted(set(public_objects()) - set(reference)) == []


@pytest.mark.parametrize(("path", "class_"), public_classes())
def test_each_option_is_in_the_reference_with_its_default(path: str, class_: type, reference: dict[str, Tag]) -> None:
    # BK-2
    assert wrong_options(class_, options_of(reference[path])) == []


def test_a_missing_option_and_a_wrong_default_are_found(reference: dict[str, Tag]) -> None:
    # BK-2
    printed = options_of(reference["modd.worker.Worker"])
    del printed["poll"]
    assert wrong_options(Worker, printed | {"attempts": "9"}) == ["attempts", "poll"]


def test_the_classes_with_most_options_are_among_those_compared() -> None:
    # BK-2
    compared = {each.values[1] for each in public_classes()}
    assert {Worker, Relay, SqliteStore, Bus, TypedBus, EventBus} <= compared
    wrappers = {getattr(middleware, name) for name in ("Timeout", "Retryer", "Cacher", "Webhook", "Authorizer")}
    assert wrappers <= compared


def test_the_page_of_the_command_line_has_the_help_of_every_command(site: Path) -> None:
    # BK-2
    page = BeautifulSoup((site / "reference/command-line.html").read_text(encoding="utf-8"), "html.parser").get_text()
    assert TOOLS["queue"] and TOOLS["follow"]
    for tool, commands in TOOLS.items():
        assert help_of(tool) in page
        assert all(help_of(tool, "PATH", command) in page for command in commands)


def broken_labels(text: str) -> list[str]:
    """Return the lines of diagrams with a semicolon, which ends a statement; codes of characters may have one."""
    diagrams = re.findall(r"^```mermaid\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for diagram in diagrams for line in diagram.splitlines() if ";" in re.sub(r"#\w+;", "", line)]


def test_no_diagram_has_a_semicolon_in_a_label() -> None:
    # BK-22
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages() if page.endswith(".md")}
    assert sum("```mermaid" in text for text in texts.values()) > 5
    assert {page: broken for page, text in texts.items() if (broken := broken_labels(text))} == {}


def test_a_semicolon_in_a_label_is_found() -> None:
    # BK-22
    diagram = '```mermaid\nflowchart TB\n  a["one; two"] --> b["three #59; four"]\n  c --> d\n```\none; two\n'
    assert broken_labels(diagram) == ['  a["one; two"] --> b["three #59; four"]']


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    # BK-1
    found = {str(page): LOADED.findall(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert len(found) > 30
    assert {name: links for name, links in found.items() if links} == {}


@pytest.mark.costly
def test_a_broken_link_and_a_broken_anchor_end_the_build(tmp_path: Path) -> None:
    # BK-1
    lay_out(tmp_path / "book")
    for page in (tmp_path / "book/pages").rglob("*.md"):
        page.unlink()
    text = "# Page\n\n[file](missing.md), [anchor](#missing), [name][modd.Missing]\n"
    (tmp_path / "book/pages/index.md").write_text(text, encoding="utf-8")
    with pytest.raises(BuildFailed) as failed:
        run_zensical(tmp_path / "book")
    for issue in ("page does not exist", "anchor does not exist", "unresolved autoref"):
        assert issue in str(failed.value)


def test_coding_assistants_get_an_index_the_whole_book_and_a_skill(site: Path) -> None:
    # BK-3
    index = (site / "llms.txt").read_text(encoding="utf-8")
    whole = (site / "llms-full.txt").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)]+)\)", index)
    assert len(linked) > 20
    assert [link for link in linked if not (site / link).is_file()] == []
    assert "# Durability" in whole
    assert "seconds of a lease, 30 by default" in whole
    assert (site / "skill.md").is_file()


def test_the_index_for_coding_assistants_has_the_first_sentence_of_each_page(site: Path) -> None:
    # BK-3
    index = (site / "llms.txt").read_text(encoding="utf-8")
    summaries = dict(re.findall(r"^- \[.+\]\((.+)\.html\): (.+)$", index, re.MULTILINE))
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name in ("start", "how-to", "understand")]
    assert pages
    for page in pages:
        head = " ".join(page.read_text(encoding="utf-8").split("\n\n")[1].split())
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).replace("**", "")
        assert plain.startswith(summaries[page.relative_to(ROOT / "docs").with_suffix("").as_posix()]), page


def test_the_glossary_has_each_term_once_in_order() -> None:
    # BK-2
    terms = re.findall(r"^## (.+)$", (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert terms == sorted(set(terms), key=str.lower)
