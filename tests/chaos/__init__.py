"""Proves by force that an accepted SMS is neither lost nor sent twice: `python -m tests.chaos --help`."""
