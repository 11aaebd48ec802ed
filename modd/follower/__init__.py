"""Followers: they carry the log of events to flows and projections."""

from __future__ import annotations
