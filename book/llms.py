"""``llms.txt`` and ``llms-full.txt``: the book for coding assistants, as an index and as one file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from bs4.filter import SoupStrainer
from markdownify import MarkdownConverter

COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)
BLANK = re.compile(r"\n\s*\n")
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def write_llms(folder: Path) -> None:
    """Write both files, and the skill, beside the site."""
    project = tomllib.loads((folder / "zensical.toml").read_text(encoding="utf-8"))["project"]
    site = folder / "site"
    head = f"# {project['site_name']}\n\n> {project['site_description']}\n\n"
    skill = "- [Skill](skill.md): how to add a context, a handler, a middleware, a test; mistakes to avoid\n"
    index, full = head + "## For coding assistants\n\n" + skill, head
    for part, paths in parts_of(project["nav"]):
        index += f"\n## {part}\n\n"
        for path in paths:
            text = text_of(folder, path)
            html = path.replace(".md", ".html")
            index += f"- [{title_of(text)}]({html}): {summary_of(text)}\n"
            full += f"<!-- {html} -->\n\n{text.strip()}\n\n"
    (site / "llms.txt").write_text(index, encoding="utf-8")
    (site / "llms-full.txt").write_text(full, encoding="utf-8")
    (site / "skill.md").write_text(text_of(folder, "skill.md"), encoding="utf-8")


def parts_of(nav: list[dict[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Return the parts of the book, with the paths of their pages."""
    return [(part, paths) for each in nav for part, paths in each.items()]


def text_of(folder: Path, path: str) -> str:
    """Return a page as Markdown: as it was written, or what was generated from docstrings."""
    text = (folder / "pages" / path).read_text(encoding="utf-8")
    if "\n::: " not in text:
        return COMMENT.sub("", text)
    html = (folder / "site" / path).with_suffix(".html").read_text(encoding="utf-8")
    article: Any = BeautifulSoup(html, "html.parser", parse_only=SoupStrainer("article"))
    for link in article.select("a.headerlink, .doc-labels, a.md-content__button"):
        link.decompose()
    converter = MarkdownConverter(
        heading_style="atx", bullets="-", code_language="python", escape_underscores=False, strip=["a"]
    )
    return BLANK.sub("\n\n", str(converter.convert_soup(article)))


def title_of(text: str) -> str:
    """Return the first heading of a page."""
    found = TITLE.search(text)
    return found[1] if found else ""


def summary_of(text: str) -> str:
    """Return the first sentence after the title."""
    title = TITLE.search(text)
    body = text[title.end() :] if title else text
    paragraph = next((each for each in body.split("\n\n")[1:] if each.strip() and each[0] not in "#`|<-"), "")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
    return re.split(r"(?<=\.) ", plain.replace("**", ""))[0].rstrip(".:")
