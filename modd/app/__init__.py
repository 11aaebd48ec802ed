"""The server app: settings from the environment, parts that run together, timers, and health."""

__all__: list[str] = []
