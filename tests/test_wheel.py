"""The wheel: its page on an index, its version, and the blocks of all pages with nothing but the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message as Metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import modd
from book.pages import pages, site_path

ROOT = Path(__file__).parents[1]
PAGES = [page for page in pages() if page == "README.md" or page.startswith("docs/")]
WITH_CODE = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]

RUN = """
import runpy, sys
sys.path[1:1] = [{wheel!r}, {packages!r}]
runpy.run_path({script!r})
"""
"""Runs a script with a folder of packages that is not read for the paths of checkouts."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the contents of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with ZipFile(built) as contents:
        contents.extractall(folder / "contents")
    return folder / "contents"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Metadata:
    (file,) = wheel.glob("*.dist-info/METADATA")
    return message_from_bytes(file.read_bytes())


def links_of(metadata: Metadata) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", str(metadata.get_payload()))


def page_of(link: str, base: str) -> str:
    """Return the page of the site that an address leads to."""
    path = link.partition("#")[0].removeprefix(base) or "index.html"
    return path.removesuffix(".html") + ".md"


@pytest.mark.costly
def test_the_version_is_that_of_the_wheel(metadata: Metadata) -> None:
    # BK-4
    assert metadata["Version"] == modd.__version__


def test_each_link_on_the_page_of_the_wheel_leads_to_a_page_of_the_site(metadata: Metadata) -> None:
    # BK-4
    urls = dict(each.split(", ", 1) for each in metadata.get_all("Project-URL", []))
    base, known = urls["Documentation"], {site_path(page) for page in pages()}
    links = [*links_of(metadata), *urls.values()]
    assert len(links) > 10
    assert [link for link in links if not link.startswith(base) or page_of(link, base) not in known] == []


def test_the_wheel_has_the_package_alone(wheel: Path) -> None:
    # BK-4
    (information,) = wheel.glob("*.dist-info")
    assert {each.name for each in wheel.iterdir()} == {"modd", information.name}
    assert (wheel / "modd/py.typed").is_file()


def blocks_of(page: str) -> Iterator[str]:
    """Yield the blocks of a page that a reader sees."""
    text = (ROOT / page).read_text(encoding="utf-8")
    hidden = [match.span() for match in re.finditer(r"<!--.*?-->", text, re.DOTALL)]
    for example in Sybil(parsers=[PythonCodeBlockParser()], patterns=["*"]).parse(ROOT / page):
        if not any(start <= example.start < end for start, end in hidden):
            yield str(example.parsed)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE)
def test_the_blocks_of_a_page_run_with_nothing_but_the_wheel(page: str, wheel: Path, tmp_path: Path) -> None:
    # BK-5
    script = tmp_path / "script.py"
    script.write_text("\n".join(blocks_of(page)), encoding="utf-8")
    code = RUN.format(wheel=str(wheel), packages=sysconfig.get_path("purelib"), script=str(script))
    (folder := tmp_path / "empty").mkdir()
    command = [sys.executable, "-S", "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
