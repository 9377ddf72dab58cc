"""Flips at test time: whatever is evaluated or predicted is the mean over each image and its mirror image."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support import dark_and_light_images, tiny_spec, write_spec

import ftrun as api
from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.train.flips import check_flips, over_flips
from ftrun_inputs import ImageInput, TextInput

FLIPS = {"flips": True}


@pytest.fixture(autouse=True)
def images(site, monkeypatch) -> None:
    monkeypatch.setenv("FTRUN_CACHE", str(Path("cache").absolute()))
    dark_and_light_images(Path("images"), 16, 24)


def spec(**changes: Any) -> dict[str, Any]:
    train = {"epochs": 2, "batch_size": 8, **changes.pop("train", {})}
    return tiny_spec(dataset={"name": "image-folder", "path": "images"}, metrics=["accuracy"], train=train, **changes)


def results(run: str) -> dict[str, Any]:
    return json.loads(Path(run, "results.json").read_text())


def evaluated(ftrun, run: str, *options: str) -> dict[str, Any]:
    result = ftrun("evaluate", run, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_mean_is_over_both_and_mirrors_nothing_else():
    inputs = torch.randn(3, 2, 4, 4)
    batch = Batch(inputs, {}, torch.arange(3))

    def forward(batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        assert torch.equal(batch.ids, torch.arange(3))
        return {"x": batch.inputs.bfloat16()}, batch.inputs[..., 0].sum()

    outputs, edge = over_flips(forward)(batch)
    assert outputs["x"].dtype == torch.float32
    torch.testing.assert_close(outputs["x"], (inputs + inputs.flip(-1)) / 2, atol=0.02, rtol=0.02)
    torch.testing.assert_close(edge, (inputs[..., 0].sum() + inputs[..., -1].sum()) / 2)


def test_a_spec_with_flips_evaluates_so_everywhere(ftrun):
    assert ftrun(write_spec(spec())).exit_code == 0
    assert ftrun(write_spec(spec(evaluation=FLIPS))).exit_code == 0
    plain, flipped = "runs/spec-1", "runs/spec-2"
    last = [Path(run, "checkpoints/last/model.safetensors").read_bytes() for run in (plain, flipped)]
    assert last[0] == last[1], "it is nothing that training sees"
    assert results(plain)["val"]["loss"] != results(flipped)["val"]["loss"]
    for run in (plain, flipped):
        again = evaluated(ftrun, run)
        assert "flips" not in again
        assert (again["val"], again["test"]) == (results(run)["val"], results(run)["test"])


def test_the_command_line_may_say_otherwise_and_leaves_the_run_as_it_is(ftrun):
    for changes in ({}, {"evaluation": FLIPS}):
        assert ftrun(write_spec(spec(train={"epochs": 1}, **changes))).exit_code == 0
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    over = evaluated(ftrun, "runs/spec-1", "--flips")
    assert over["flips"] is True
    assert {name: over[name] for name in ("val", "test")} == {
        name: results("runs/spec-2")[name] for name in ("val", "test")
    }
    without = evaluated(ftrun, "runs/spec-2", "--no-flips")
    assert (without["flips"], without["test"]) == (False, results("runs/spec-1")["test"])
    assert before == {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}


def test_a_prediction_is_of_the_mean_and_so_that_of_the_mirror_image(ftrun):
    assert ftrun(write_spec(spec(evaluation=FLIPS))).exit_code == 0
    run = api.open("runs/spec-1")
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    pair = [image, image.flip(-1)]
    one, other = (each.scores for each in run.predictor().predict(pair, top=2))
    assert one == pytest.approx(other, abs=1e-6)
    one, other = (each.scores for each in run.predictor(flips=False).predict(pair, top=2))
    assert one != pytest.approx(other, abs=1e-6)
    files = sorted(map(str, Path("images/test").rglob("*.png")))
    asked = [ftrun("predict", "runs/spec-1", *files, "--json", *option).stdout for option in ((), ("--flips",))]
    assert asked[0] == asked[1] != ftrun("predict", "runs/spec-1", *files, "--json", "--no-flips").stdout


def test_val_of_a_frozen_net_is_of_both_images_though_train_is_embedded(ftrun):
    phases = [{"epochs": 2, "freeze": "features"}]
    result = ftrun(write_spec(spec(train={"phases": phases, "epochs": 2}, evaluation=FLIPS)))
    assert "train: the frozen backbone has run once" in result.output
    assert "val: the frozen backbone" not in result.output
    assert evaluated(ftrun, "runs/spec-1")["test"] == results("runs/spec-1")["test"]


def test_what_lies_in_the_image_and_what_is_no_image_have_no_such_mean():
    images = ImageInput(size=(8, 8))

    class Spot(api.Classes):
        def follow(self, values: Any, warp: api.Warp) -> Any:
            return values

    with pytest.raises(SpecError, match=r"^evaluation.flips: flips are for targets .* but 'spot' has"):
        check_flips(images, {"spot": Spot(names=("a", "b"))}, "evaluation.flips")
    with pytest.raises(SpecError, match=r"^--flips: flips are for images"):
        check_flips(TextInput(length=8), {}, "--flips")
    check_flips(images, {"label": api.Classes(names=("a", "b"))}, "")
