"""Webhook: messages sent over HTTP, signed, and only to addresses that are allowed."""
