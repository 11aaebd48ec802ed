"""``python -m book``: lay out the pages in build/book, have Zensical build the site there, and write the llms files."""

from __future__ import annotations

import sys
from pathlib import Path

from book.site import BuildFailed, build_site

FOLDER = Path("build/book")


def main() -> int:
    """Build the site, and print its place or the errors."""
    try:
        print(f"open {build_site(FOLDER) / 'index.html'}")
    except BuildFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
