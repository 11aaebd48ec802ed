"""Every code block printed in README and docs runs as a test; the blocks of one page share their names."""

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_plugins = ["tests.nats.fixtures", "tests.postgres.fixtures"]

PAGES = ["README.md", "docs/*.md", "docs/*/*.md"]

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=PAGES).pytest()
