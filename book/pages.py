"""The pages of the site: those of docs/, README as the first page, and files outside of docs/ that these link to."""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = "README.md"

LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")
"""The path in a link to a file."""

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
"""A block of code, in which nothing is a link."""


def write_pages(folder: Path) -> None:
    """Write every page of the site into a folder."""
    shutil.copytree(ROOT / "docs", folder)
    for path in pages():
        target = folder / site_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_site_links(path, page_text(path)), encoding="utf-8")


def pages() -> list[str]:
    """Return the files that become pages: README, CHANGELOG, docs/, and all files that these link to."""
    found = [
        HOME,
        "CHANGELOG.md",
        *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
    ]
    for path in found:  # grows meanwhile
        if path.endswith(".md"):
            found += sorted(links_of(path) - set(found))
    return found


def links_of(path: str) -> set[str]:
    """Return the files of the repository that a page links to."""
    text = FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    targets = {target_of(path, link) for link in LINK.findall(text)}
    return {target for target in targets if (ROOT / target).is_file()}


def target_of(path: str, link: str) -> str:
    """Return the file of the repository that a link of a page names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def site_path(path: str) -> str:
    """Return the place in the site of a file of the repository."""
    if path == HOME:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def page_text(path: str) -> str:
    """Return a file as the text of a page; the search finds what is for users."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path == HOME or (path.startswith("docs/") and not path.startswith("docs/internals/")):
        return text
    if not path.endswith(".md"):
        text = f"# {path}\n\n```{path.rpartition('.')[2]}\n{text}```\n"
    return f"---\nsearch:\n  exclude: true\n---\n\n{text}"


def with_site_links(path: str, text: str) -> str:
    """Return the text of a page with each link to a file as a link in the site."""
    here = posixpath.dirname(site_path(path)) or "."

    def replace(match: re.Match[str]) -> str:
        target = target_of(path, match[1])
        return posixpath.relpath(site_path(target), here) if (ROOT / target).is_file() else match[1]

    return LINK.sub(replace, text) if path.endswith(".md") else text
