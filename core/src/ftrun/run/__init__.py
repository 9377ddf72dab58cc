"""One run, from a checked spec to a run folder: assemble the parts, train, judge, save. Needs torch.

session     a whole run, and one that goes on after a break
assemble    the live objects of a run, built from the parts of the spec
  device      what it computes on
  splits      the val cut, and the checks of the data
  loader      batches of a split, in an order that is a function of (seed, epoch)
  reader      what the loader reads with, here or in processes of their own
  resident    data that stays in the memory of a GPU
  decoded     samples from files, decoded once
  embedded    embeddings of a frozen backbone, computed once
  mapped      what both are kept in, shared by runs
  netdigest   what tells one state of a net from another
  corrupt     samples that cannot be read
  phases      what learns when, and how fast
  tuning      the fastest precision and memory format
  average     a moving average of the weights
  init_from   another run's weights to start from
loop        training, from top to bottom
  evaluate    loss and metrics on one split
  loss        of all targets together
  graphs      a step as a CUDA graph, recorded once
  guard       nothing that is not finite reaches the weights
  memory      what to do where it is short
  signals     SIGINT and SIGTERM wait for the end of a step
  progress    how far a run is
saver       what is written as a run goes on, and read back
  checkpoint  weights and training state, with digests
  background  a GPU goes on while they are written
  packing     any state as JSON and tensors
  folder      the run folder
  lock        one process at a time in it
  files       whole writes, syncs and renames
opened      a run that has ended, its net ready to compute
  record      what its files have to hold
judge       `ftrun evaluate`
  aligned     other data in the run's terms
predictor   `ftrun.load`
  predict     `ftrun predict`
compare     `ftrun compare`
card        README.md of a run folder, a model card
  weightfile  what a file of weights says of itself
report      what is shown and logged
observers   the observers that the spec names
environment what a run was made with, and whether it can go on here
rehearsal   `ftrun verify-resume`
"""
