"""The ports on a NATS server with JetStream: records that are compared and set. Begin reading at `store`."""
