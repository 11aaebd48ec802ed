"""Webhook: handled messages, sent over HTTP to public addresses, and signed."""
