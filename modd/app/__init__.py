"""The server app: settings from the environment, parts that run together, timers, and health."""

from modd.app.errors import InvalidSettings
from modd.app.settings import Settings

__all__ = ["InvalidSettings", "Settings"]
