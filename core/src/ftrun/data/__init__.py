"""From a dataset's splits to batches.

splits      the val split, and the checks of the data
loader      batches of a split, in an order that is a function of (seed, epoch); on a GPU, in its memory where it can be
reader      what the loader reads with, in this process or in workers
decoded     samples from files, decoded once; `mapped`, the files they are kept in
corrupt     samples that cannot be read
remarks     what is odd about the data: names, classes that a split lacks, inputs that are in two splits
filelist    what `ftrun predict` reads; `filedigests`, `spellings`, `cut`: helpers for datasets
files       whole writes, syncs, renames, and files that must not exist yet
cachefolder where caches lie, and their limit
"""
