"""The ports in memory: for tests, and for data that may be lost with the process."""
