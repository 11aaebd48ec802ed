"""``python -m modd``: tools for the operation of modd, and for the start of a server app."""

from __future__ import annotations

import sys
from importlib import import_module

# A server does not wait for the imports of the other tools.
module, function = ("run_command", "run_process") if sys.argv[1:2] == ["run"] else ("main", "main")

sys.exit(getattr(import_module(f"modd.cli.{module}"), function)())
