"""A working part of each role, as a plugin's only module. `ftrun new-plugin` reads these as text; nothing imports them.

Each is written for a plugin named `template`. They are formatted for 88 columns, ruff's default, as well as for ours:
they end up where our settings do not hold.
"""
