"""Modifiers `replace-head` and `add-layers`."""
