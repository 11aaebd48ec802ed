"""Stored results: `Cacher`, and keys, encoding, replay and single flight, which `Idempotency` shares."""
