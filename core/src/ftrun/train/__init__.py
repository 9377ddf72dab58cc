"""One run, from a checked spec to a run folder: assemble the parts, train, evaluate, save. Needs torch.

begin       how a run begins: anew, or after a break
session     a run in its folder, from its live objects to its results
assemble    the live objects of a run, built from the parts of the spec
prepare     before the first step: inputs decoded, the precision chosen
  device      what it computes on
  checks      nets, losses and augmentations, tried on a batch before training
  trial       a step that is tried and undone
  phases      what learns when, and how fast
  norm        batch norm's statistics: learnt or frozen
  monitor     the metric that chooses the best epoch
  tuning      the fastest precision and memory format; `remembered`, what it was before
  pace        how fast a run is, for a recipe to plan by; `recipes`, what a recipe fills in
  embedded    embeddings of a frozen backbone, computed once; `netdigest`, their key
  average     a moving average of the weights
  init_from   another run's weights to start from
loop        training, from top to bottom
  evaluate    loss and metrics on one split
  loss        of all targets together
  guard       nothing that is not finite reaches the weights
  memory      what to do where it is short
  timekeeper  a run that has so many minutes ends in time
  signals     SIGINT and SIGTERM wait for the end of a step
  progress    how far a run is
saver       what is written as a run goes on, and read back
observers   the observers that the spec names
accel/      what uses private APIs of torch, each with a public way
"""
