"""Whatever is changed in a project, a run with the cache is, to the bit, the one that there is without it."""

import sys
from random import Random

import pytest
from cacheworld import World

CASES, FEW = 500, 6


@pytest.fixture
def world(tmp_path, catalogue, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file of the same size and second is the same to it
    yield World(tmp_path, catalogue)
    for name in ("changing_parts", "changing_helper", "changing_plugin"):
        sys.modules.pop(name, None)


def changes_change_nothing(world: World, monkeypatch: pytest.MonkeyPatch, seed: int, cases: int) -> None:
    random, done = Random(seed), []
    for _ in range(cases):
        done.append(world.change(random))
        monkeypatch.delenv("FTRUN_CACHE_GB", raising=False)
        kept = world.outcome()
        monkeypatch.setenv("FTRUN_CACHE_GB", "0")
        assert kept == world.outcome(), done[-10:]


def test_a_run_with_the_cache_is_the_one_without(world, monkeypatch):
    changes_change_nothing(world, monkeypatch, 0, FEW)


ONE_CHANGE = {
    "parts file": {"gain": 2},
    "module that it imports": {"offset": 0.25},
    "options of a modifier": {"modifiers": [{"name": "scale", "by": 3.0}]},
    "order of modifiers": {"modifiers": ["shift", "scale"]},
    "plugin": {"darker": 2},
    "written to through p.data": {"thawed": True},
    "another folder": {"root": "b"},
    "options of the dataset": {"flipped": True},
}


@pytest.mark.parametrize("change", ONE_CHANGE)
def test_one_change_makes_the_results_those_without_the_cache(world, monkeypatch, change):
    world.state |= {"dataset": "pictures", "modifiers": ["scale", "shift"]}
    before = world.outcome()
    world.state |= ONE_CHANGE[change]
    kept = world.outcome()
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert kept == world.outcome()
    assert kept != before


@pytest.mark.parametrize("dataset", ["image-folder", "table-images"])
def test_other_pixels_under_the_same_names_sizes_and_times(world, monkeypatch, dataset):
    world.state |= {"dataset": dataset, "images": "a" if dataset == "table-images" else None}
    before = world.outcome()
    world.state |= {"root": "b"} if dataset == "image-folder" else {"images": "b"}
    kept = world.outcome()
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert kept == world.outcome()
    assert kept != before


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_500_runs_with_the_cache_are_the_ones_without(world, monkeypatch, seed):
    changes_change_nothing(world, monkeypatch, seed, CASES // 10)
