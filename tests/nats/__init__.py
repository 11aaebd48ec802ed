"""Links to NATS servers."""
