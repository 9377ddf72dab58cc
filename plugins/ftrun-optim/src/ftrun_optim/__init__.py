"""Optimizers `sgd`, `adam`, `adamw`; schedulers `constant`, `cosine`, `step`."""
