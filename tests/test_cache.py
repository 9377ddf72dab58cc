"""Runs on image files, with the cache and without: the same results; and what `ftrun cache` shows."""

import json
from pathlib import Path

import pytest
from support import dark_and_light_images, tiny_spec, write_spec


@pytest.fixture
def images(site, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(Path("cache").absolute()))
    dark_and_light_images(Path("images"), 9, 12)
    return write_spec(tiny_spec(dataset={"name": "image-folder", "path": "images"}, augment=["horizontal-flip"]))


def model(number: int) -> bytes:
    return Path(f"runs/spec-{number}/checkpoints/last/model.safetensors").read_bytes()


def test_results_are_the_same_with_a_full_an_empty_and_no_cache(images, ftrun, monkeypatch):
    first, second = ftrun(images), ftrun(images)
    assert "image-folder, train: decoding 40 samples, once" in first.output
    assert "decoding" not in second.output
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert ftrun(images, "--set", "train.workers=2").exit_code == 0
    assert model(1) == model(2) == model(3)


def test_the_command_shows_it_and_empties_it(images, ftrun):
    ftrun(images)
    shown = ftrun("cache").output.splitlines()
    assert [line.split(", used")[0] for line in shown[:-1]] == [
        "   9.7 kB  image-folder, train: 40 samples of [3, 8, 8]",
        "   2.0 kB  image-folder, test: 8 samples of [3, 8, 8]",
    ]
    assert shown[-1] == f"11.7 kB of at most 50.0 GB (FTRUN_CACHE_GB) in {Path('cache').absolute()}"
    assert [entry["samples"] for entry in json.loads(ftrun("cache", "--json").output)["entries"]] == [40, 8]
    assert ftrun("cache", "--clear").output == f"removed 11.7 kB from {Path('cache').absolute()}\n"
    assert json.loads(ftrun("cache", "--json").output)["entries"] == []


def test_a_wrong_limit(images, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE_GB", "much")
    result = ftrun("cache")
    assert result.output == ("Error: FTRUN_CACHE_GB is 'much', but should be a number of gigabytes, such as 50.\n")
    assert result.exit_code == 2
