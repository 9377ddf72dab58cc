"""Before torch is imported: one thread a process, since pytest runs a process for each core. Nothing is left behind."""

import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FTRUN_REPORT", "0")  # what is about it says 1: it takes a second, and there are many runs

pytest_plugins = ["product"]  # fixtures in tests/, for the whole-product tests of plugins too

_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not _IS_WORKER:  # whose workers share what it makes: one cache for a session, and none with another commit's
    _SCRATCH = tempfile.mkdtemp(prefix="ftrun-tests-")
    os.environ["FTRUN_CACHE"] = os.path.join(_SCRATCH, "cache")
    # What code this user has run is none of the tests' business, nor what they run the user's.
    os.environ["XDG_DATA_HOME"] = os.path.join(_SCRATCH, "data")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.path.join(_SCRATCH, "hypothesis")

# A commit is tried with the same examples each time; `-m slow` looks further, from another place each time.
_SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_ALWAYS = settings(deadline=None, suppress_health_check=_SLOW_MACHINE)
settings.register_profile("same", _ALWAYS, derandomize=True, database=None)
settings.register_profile("more", _ALWAYS, max_examples=1000, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("more" if config.option.markexpr == "slow" else "same")


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: with one for each, they stood idle for a fifth of the time."""
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) + 1


def pytest_unconfigure() -> None:
    if not _IS_WORKER:
        shutil.rmtree(_SCRATCH, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `-m slow` what another test of the same session has tried on another part, or on fewer examples."""
    roles = set()
    for item in reversed(items):  # of nets, the last one is small
        function = getattr(item, "function", None)
        if config.option.markexpr == "slow" and is_hypothesis_test(function):
            item.add_marker("slow")
        if getattr(function, "__name__", "") == "test_contract_of":
            check = item.callspec.params["check"]  # two whole runs each, of which one would show what the core forgets
            role = check.subject.role
            if check.property.name == "survives-resume" and role in roles:
                item.add_marker("slow")
            if check.property.name == "survives-resume":
                roles.add(role)
