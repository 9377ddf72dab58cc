"""Losses `cross-entropy`, `mse`, `bce`."""
