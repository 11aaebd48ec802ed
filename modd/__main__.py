"""``python -m modd``: tools for people who run modd."""

from __future__ import annotations

import sys

from modd.cli.main import main

sys.exit(main())
