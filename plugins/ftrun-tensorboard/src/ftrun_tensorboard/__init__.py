"""Observer `tensorboard`."""
