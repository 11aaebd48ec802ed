"""The build of the site: pages, Zensical, llms files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from book.command_line import command_line_page
from book.llms import write_llms
from book.pages import ROOT, write_pages

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ISSUE = re.compile(r"^Warning: ", re.MULTILINE)

ZENSICAL = "import gc; gc.disable(); from zensical.main import cli; cli()"
"""Runs Zensical without the garbage collector, which takes a tenth of the time of a build."""


class BuildFailed(Exception):
    """Zensical has found broken links or anchors, or could not build the site."""


def build_site(folder: Path) -> Path:
    """Build the site in a folder, and return its own folder. Raises `BuildFailed`."""
    lay_out(folder)
    run_zensical(folder)
    write_llms(folder)
    return folder / "site"


def lay_out(folder: Path) -> None:
    """Write the configuration, the theme and all pages into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "book/zensical.toml", folder)
    shutil.copytree(ROOT / "book/theme", folder / "theme")
    write_pages(folder / "pages")
    page = folder / "pages/reference/command-line.md"
    page.write_text(command_line_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    assets = folder / "pages/assets"
    shutil.copytree(ROOT / "book/assets", assets)
    (assets / "mermaid.js").write_bytes((files("mermaidx") / "assets/mermaid.js").read_bytes())


def run_zensical(folder: Path) -> None:
    """Build the site from the pages. Raises `BuildFailed`."""
    command = [sys.executable, "-c", ZENSICAL, "build", "--config-file", str(folder / "zensical.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    told = COLOURS.sub("", done.stdout + done.stderr)
    if done.returncode or ISSUE.search(told):
        raise BuildFailed(told)
