"""Cacher: results kept in a cache, and what it shares with `modd.middleware.Idempotency`."""
