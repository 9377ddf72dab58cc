"""Training images that are kept larger than the net's, for augmentations that enlarge parts of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support import dark_and_light_images, tiny_spec, write_spec

from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble

CROP = "random-resized-crop"


@pytest.fixture
def images(site, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(Path("cache").absolute()))
    dark_and_light_images(Path("images"), 17, 24)


def spec(*augment: Any) -> dict[str, Any]:
    return tiny_spec(dataset={"name": "image-folder", "path": "images"}, augment=list(augment))


def shapes(ftrun) -> dict[str, Any]:
    return {each["name"]: each["shape"] for each in json.loads(ftrun("cache", "--json").output)["entries"]}


def test_train_alone_is_kept_larger_and_the_net_sees_what_it_always_does(images, ftrun):
    first = ftrun(write_spec(spec(CROP)))
    assert "train: images are kept at 16 x 16 for augmentation, of which the net sees 8 x 8" in first.output
    assert shapes(ftrun) == {
        "image-folder, train for augmentation": [3, 16, 16],
        "image-folder, val": [3, 8, 8],  # cut from train, and decoded alone
        "image-folder, test": [3, 8, 8],
    }
    input_saved = json.loads(Path("runs/spec-1/resolved.json").read_text())["input"]
    assert input_saved["size"] == [8, 8]
    assert "decoding" not in ftrun(write_spec(spec(CROP))).output  # val too
    models = [Path(f"runs/spec-{number}/checkpoints/last/model.safetensors").read_bytes() for number in (1, 2)]
    assert models[0] == models[1]
    assert ftrun("evaluate", "runs/spec-1").exit_code == 0


def test_without_a_cache_it_is_the_same(images, ftrun, monkeypatch):
    ftrun(write_spec(spec(CROP)))
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    ftrun(write_spec(spec(CROP)), "--set", "train.workers=0")
    models = [Path(f"runs/spec-{number}/checkpoints/last/model.safetensors").read_bytes() for number in (1, 2)]
    assert models[0] == models[1]


def test_images_of_test_that_are_in_train_too_are_counted_at_any_size(images, ftrun):
    shutil.copy("images/train/dark/3.png", "images/test/dark/copy.png")
    note = "1 of 9 test samples are in train too, with equal inputs"
    larger = ftrun(write_spec(spec(CROP)))
    assert "kept at 16 x 16" in larger.output
    assert note in larger.output
    assert note in ftrun(write_spec(spec({"name": CROP, "keep": 1}))).output


@pytest.mark.parametrize(
    ("augment", "size"),
    [
        ([CROP], 16),
        (["horizontal-flip", CROP], 16),
        ([{"name": CROP, "keep": 1.6}], 12),  # in quarters
        ([{"name": CROP, "keep": 1}], 8),
        (["horizontal-flip"], 8),
        (["color-jitter", CROP], 8),  # which sees images at the net's size
    ],
)
def test_how_large_they_are_kept(augment, size, images, catalogue):
    job = assemble(check_spec(spec(*augment), catalogue), torch.device("cpu"))
    read = job.feed.loaders["train"].sample()
    assert read.inputs.shape[1:] == (3, size, size)
    assert job.feed.loaders["val"].sample() is None or job.feed.loaders["val"].sample().inputs.shape[2:] == (8, 8)
    assert job.feed.ready(read, draw=1).inputs.shape[1:] == (3, 8, 8)
    assert job.feed.ready(read).inputs.shape[1:] == (3, 8, 8)


def test_images_are_never_enlarged_to_be_kept(images, catalogue):
    larger = {**spec(CROP), "input": {"size": 16}}
    job = assemble(check_spec(larger, catalogue), torch.device("cpu"))
    assert job.feed.loaders["train"].sample().inputs.shape[1:] == (3, 16, 16)
