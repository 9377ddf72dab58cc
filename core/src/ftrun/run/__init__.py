"""One run, from a checked spec to a run folder: assemble the parts, train, judge, save. Needs torch.

assemble    the live objects of a run, built from the parts of the spec
splits      the val cut, and the checks of the data
loader      batches of a split, in an order that is a function of (seed, epoch)
loop        training, from top to bottom
evaluate    loss and metrics on one split
checkpoint  weights and training state as safetensors and JSON
folder      the run folder
report      what is shown and logged
observers   the observers that the spec names
signals     SIGINT and SIGTERM wait for the end of a step
"""
