"""The rules of a queue, for stores that have its items in memory."""
