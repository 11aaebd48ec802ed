"""Paths and texts of errors, without values, about raw data that does not fit a type."""

from __future__ import annotations

import re

_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*", re.DOTALL)


def misfit_of(error: Exception, path: str) -> tuple[str, str]:
    """Return the path and text of msgspec's error about a value that does not fit, without the value: it may be secret.

    path: the path of the value that msgspec calls ``$``.
    """
    said = str(error)
    text, found, where = said.rpartition(" - at `")  # then: $.sizes`, or: key` in `$.sizes`
    inner = where.rpartition("`$")[2] if "`$" in where else where.removeprefix("$")
    message = text if found else said
    return path + inner.rstrip("`") if found else path, _VALUE.sub(r"\1", message)
