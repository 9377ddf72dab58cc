"""`python -m ftrun`."""

from ftrun.start import process

process()
