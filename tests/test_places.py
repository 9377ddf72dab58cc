"""A target that lies in the image follows it: into what the net sees, through augmentation and the cache, and back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support import install, tiny_spec, write_spec

import ftrun as api
from ftrun.contracts.data import Batch
from ftrun.data.mapped import MappedSplit
from ftrun.plugins.catalogue import installed
from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble
from ftrun.train.feed import decoder

CODE = (Path(__file__).parent / "distributions" / "ftrun_places.py").read_text()
MOVES = ["horizontal-flip", {"name": "random-resized-crop", "scale": [0.6, 1]}, {"name": "rotate", "degrees": 30}]


@pytest.fixture
def places(site, monkeypatch):
    install(site, "ftrun-places", CODE)
    monkeypatch.setenv("FTRUN_CACHE", str(Path("cache").absolute()))


def spec(**changes: Any) -> dict[str, Any]:
    parts = {"dataset": "places", "loss": "place-loss", "metrics": [], "input": {"size": 32}}
    return tiny_spec(**{**parts, **changes})


def off(batch: Batch) -> torch.Tensor:
    """How far targets are from the middle of the white spot that is seen: [B]."""
    white = batch.inputs[:, 0].float()
    white = white > white.amax((1, 2), keepdim=True) / 2
    rows, columns = (torch.arange(side) + 0.5 for side in white.shape[1:])
    count = white.sum((1, 2))
    assert (count > 4).all()
    middle = torch.stack([(white * columns).sum((1, 2)) / count, (white * rows[:, None]).sum((1, 2)) / count], 1)
    return (middle - batch.targets["place"]).norm(dim=1)


@pytest.mark.parametrize("keep", [1, 2])
def test_targets_are_where_their_images_show_them(keep, places):
    augment = [MOVES[0], {**MOVES[1], "keep": keep}, MOVES[2]]
    job = assemble(check_spec(spec(augment=augment), installed()), torch.device("cpu"))
    feed = job.feed
    augmenter = feed.ready.augmenter
    raw = {name: split.columns["place"] for name, split in feed.splits.items()}
    for cached in (False, True):
        if cached:
            decoded = {
                name: decoder(job.spec, feed.input_of(name), feed.splits.targets, print).split(split, name)
                for name, split in feed.splits.items()
            }
            assert all(type(split) is MappedSplit for split in decoded.values())
            feed.read(feed.splits.with_splits(decoded))
        for name in ("train", "val"):
            for batch in feed.loaders[name].in_order():
                assert off(batch).max() < 0.7
                plain = augmenter.plain(batch)
                assert plain.inputs.shape[2:] == (32, 32)
                assert off(plain).max() < 0.7
                back = api.Warp(plain.extra["warp"], (32, 32)).inverse().points(plain.targets["place"])
                assert (back - raw[name][batch.ids]).abs().max() < 0.01
        for draw in range(1, 4):
            for batch in feed.loaders["train"].in_order():
                moved = feed.ready(batch, draw)
                shown = replace(moved, inputs=(moved.inputs - moved.inputs.min()))
                assert off(shown).max() < 1.0


def test_predictions_come_back_to_raw_pixels(places, ftrun):
    assert ftrun(write_spec(spec(augment=MOVES[:1]))).exit_code == 0
    predictor = api.load("runs/spec-1")
    raw = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in [(60, 80), (80, 60), (33, 700)]]
    predicted = predictor.predict(raw)
    for image, each in zip(raw, predicted, strict=True):
        inputs, warp = predictor.input.fit(image)
        with torch.no_grad():
            output = api.open("runs/spec-1").net(predictor.input.prepare(inputs[None]))["place"]
        there = warp.points(torch.tensor([each.value], dtype=torch.float64))
        assert (there - output).abs().max() < 0.01
