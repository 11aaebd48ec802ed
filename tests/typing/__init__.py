"""What type checkers are to accept and to refuse; `make test` runs mypy and basedpyright over it."""
