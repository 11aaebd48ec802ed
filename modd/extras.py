"""Names of a package that need an extra, and are imported when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from modd.errors import MissingExtra


def import_lazily(package: str, name: str, lazy: Mapping[str, tuple[str, str]]) -> Any:
    """Return an attribute of a package that is imported when it is used, for its ``__getattr__``.

    lazy: the module and the extra of each such name. Raises ``AttributeError`` for any other, and `MissingExtra`.
    """
    if name not in lazy:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    module, extra = lazy[name]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        raise MissingExtra(name, extra) from missing


def require_extra(feature: str, extra: str, module: str) -> None:
    """Raise `MissingExtra` for a feature if a module cannot be imported: its package is missing, or one that it needs.

    extra: the extra that installs it.
    """
    try:
        import_module(module)
    except ImportError as missing:
        raise MissingExtra(feature, extra) from missing
