"""`python -m ftrun`."""

from ftrun.cli import main

main()
