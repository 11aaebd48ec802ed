"""Programs to run, each run by a test."""
