"""The lobby of a board game in four layers: domain, service, handler, app. Run ``python examples/lobby/app.py``."""
