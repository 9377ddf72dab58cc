"""Modifier `fc-to-conv`: fully connected heads become convolutions."""
