"""The server app: settings from the environment, parts that run together, timers, and health."""

from modd.app.app import App
from modd.app.errors import AppFailed, PortTaken
from modd.app.health import Health
from modd.app.status import Status

__all__ = ["App", "AppFailed", "Health", "PortTaken", "Status"]
