"""The ports in memory: for tests, and where nothing has to outlive the process."""
