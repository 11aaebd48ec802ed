"""Stores in one SQLite file. Begin with `modd.stores.sqlite.store`; `writer` and `group_commit` do the commits."""
