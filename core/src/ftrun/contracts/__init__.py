"""The contracts: what datasets, nets and other parts are, and what they exchange. No torch at import.

specs      the roles: a part is a class of one of them, its fields are its options
hooks      what a plugin may offer, one hook for each role
targets    what is predicted: classes, labels, values
data       samples, splits and batches
trees      what batches hold: tensors, and raggeds where samples differ in length
inputs     how raw inputs become tensors
geometry   where pixels go: affine maps, composed and inverted; resampling moves images by them
net        a network with named outputs
recipe     what fills in how to train, from facts and a pace
events     what observers are called with
randomness random numbers as functions of (seed, epoch, sample)
errors     the errors that users see, and their exit codes
"""
