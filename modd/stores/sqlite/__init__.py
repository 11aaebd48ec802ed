"""Stores in one SQLite file. Begin with `modd.stores.sqlite.store`; `writer` has the group commit."""
