"""A store in a schema of a PostgreSQL database. Begin reading at `modd.stores.postgres.store`."""
