"""One set of certificates for all tests of webhooks: it takes longer to read than most of them run."""

from __future__ import annotations

from functools import cache

import httpcore2
import pytest

certificates = cache(httpcore2.default_ssl_context)


@pytest.fixture(autouse=True)
def read_certificates_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each webhook that is opened gets the same ones."""
    monkeypatch.setattr(httpcore2, "default_ssl_context", certificates)
