"""`python -m ftrun`."""

from ftrun.cli import process

process()
