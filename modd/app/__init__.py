"""The server app: settings from the environment, parts that run together, timers, and health."""

from modd.app.app import App
from modd.app.errors import AppFailed, InvalidSettings
from modd.app.health import Health
from modd.app.settings import Settings
from modd.app.status import Status
from modd.app.timers import Timer, cron, every
from modd.serving.server import PortTaken

__all__ = [
    "App",
    "AppFailed",
    "Health",
    "InvalidSettings",
    "PortTaken",
    "Settings",
    "Status",
    "Timer",
    "cron",
    "every",
]
