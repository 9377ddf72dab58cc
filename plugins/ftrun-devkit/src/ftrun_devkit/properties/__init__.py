"""The properties that parts have, a file for each role.

`net` is for backbones and modifiers, `training` for losses, optimizers and schedulers.
"""
