"""The run folder: what a run leaves behind, and how it is written and read.

folder      the folder and its files, code of its own among them
lock        one process at a time
checkpoint  weights and training state, with digests; `packing`, any state as JSON and tensors
background  a GPU goes on while they are written
predictions outputs for each sample of the split that was evaluated
environment what a run was made with, and whether it can go on here
identity    whether the data is what it was, and where it lies
console     progress and log
recorded    what the files have to hold; `recordedrun`, what they hold: `ftrun.Run` without all that computes
summaries   what `ftrun runs` lists
"""
