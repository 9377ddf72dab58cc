"""Before torch is imported: one thread a process, since pytest runs a process for each core. Nothing is left behind."""

import hashlib
import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(tempfile.gettempdir(), "hypothesis"))
os.environ.setdefault("FTRUN_REPORT", "0")  # what is about it says 1: it takes a second, and there are many runs
_CHECKOUT = f"{os.path.realpath(__file__)} {os.getuid()}"  # what one checkout keeps is no other's, and no other user's
_DIGEST = hashlib.sha256(_CHECKOUT.encode()).hexdigest()[:12]
os.environ.setdefault("FTRUN_CACHE", os.path.join(tempfile.gettempdir(), f"ftrun-test-cache-{_DIGEST}"))
# What code this user has run is none of the tests' business, nor what they run the user's.
os.environ["XDG_DATA_HOME"] = os.path.join(tempfile.gettempdir(), f"ftrun-test-data-{_DIGEST}")
