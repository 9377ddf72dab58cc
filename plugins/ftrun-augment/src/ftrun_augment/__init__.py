"""Augmentations on whole batches: flip, crops, color jitter."""
