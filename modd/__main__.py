"""``python -m modd``: tools for the operation of modd."""

from __future__ import annotations

import sys

from modd.cli.main import main

sys.exit(main())
