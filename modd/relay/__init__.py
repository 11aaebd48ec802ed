"""Relays: they carry items from an outbox to a queue, a feed, or several of them."""

from modd.relay.relay import Relay
from modd.relay.tee import Tee

__all__ = ["Relay", "Tee"]
