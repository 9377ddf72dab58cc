"""Before torch is imported: one thread a process, since pytest runs a process for each core."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
