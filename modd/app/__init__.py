"""The server app: settings from the environment, parts that run together, timers, and health."""

from modd.app.timers import Timer, cron, every

__all__ = ["Timer", "cron", "every"]
