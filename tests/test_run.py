"""Whole runs of a tiny net: the run folder, and what a run's figures depend on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from support import tiny_spec, write_spec


def last_run() -> Path:
    return max(Path("runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)


def read(name: str, folder: Path | None = None) -> Any:
    return json.loads(((folder or last_run()) / name).read_text())


def epochs(folder: Path | None = None) -> list[dict[str, float]]:
    return [json.loads(line) for line in ((folder or last_run()) / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path, which: str = "last") -> bytes:
    return (folder / "checkpoints" / which / "model.safetensors").read_bytes()


@pytest.fixture
def run(site, ftrun):
    """Run a spec made of the tiny parts; give its folder."""

    def start(*arguments: str, **changes: Any) -> Path:
        result = ftrun(write_spec(tiny_spec(**changes)), *arguments)
        assert result.exit_code == 0, result.output
        return last_run()

    return start


def test_the_run_folder_has_everything(run):
    folder = run(train={"epochs": 3, "batch_size": 16, "accumulate": 2})
    assert folder == Path("runs/spec-1")
    assert sorted(each.name for each in folder.iterdir()) == [
        ".lock", "README.md", "checkpoints", "log.txt", "metrics.jsonl", "predictions", "resolved.json",
        "results.json", "spec.json", "status.json",
    ]  # fmt: skip
    assert (folder / "spec.json").read_text() == Path("spec.json").read_text()
    status = read("status.json")
    assert (status["state"], status["epoch"], status["step"], status["reason"]) == ("finished", 3, 6, "")
    assert {"pid", "host", "started"} <= set(status)
    assert [each["epoch"] for each in epochs()] == [1, 2, 3]
    assert set(epochs()[0]) == {"epoch", "step", "lr", "train/loss", "val/loss", "seconds/train", "seconds/eval"}
    results = read("results.json")
    assert results["samples"] == {"train": 54, "val": 6, "test": 12}
    assert results["val"]["loss"] == epochs()[results["best_epoch"] - 1]["val/loss"]
    seconds = results["seconds"]
    assert set(seconds) == {"first_step", "data", "train", "eval", "checkpoint", "total"}
    assert all(0 < value <= seconds["total"] for value in seconds.values())
    resolved = read("resolved.json")
    assert resolved["spec"]["optimizer"] == {"name": "tiny-sgd", "lr": 0.1, "momentum": 0.9}
    loss = {"part": "loss", "role": "loss", "name": "tiny-loss", "distribution": "ftrun-tiny", "version": "1.0"}
    assert loss in resolved["plugins"]
    net = read("checkpoints/best/net.json")
    assert net["targets"]["label"]["names"] == ["class 0", "class 1", "class 2"]
    assert net["input"]["size"] == [8, 8]


def test_runs_are_numbered_and_never_overwritten(run):
    assert [run().name, run().name] == ["spec-1", "spec-2"]
    Path("runs/spec-7").mkdir()
    assert run().name == "spec-8"


def test_two_runs_of_one_spec_are_the_same_to_the_bit(run):
    one, two = run(backbone={"name": "tiny", "dropout": 0.3}), run(backbone={"name": "tiny", "dropout": 0.3})
    assert weights(one) == weights(two)
    assert weights(one, "best") == weights(two, "best")


def test_workers_change_nothing(run):
    data = {"name": "tiny", "workers": True}
    alone = run(dataset=data, train={"epochs": 2, "batch_size": 7, "workers": 0})
    helped = run(dataset=data, train={"epochs": 2, "batch_size": 7, "workers": 2})
    assert weights(alone) == weights(helped)


@pytest.mark.parametrize("augment", [[], ["horizontal-flip", {"name": "random-crop", "padding": 2}]])
def test_another_seed_is_another_run(run, augment):
    one, two = run(augment=augment), run("--set", "seed=1", augment=augment)
    assert weights(one) != weights(two)


def test_accumulating_equals_one_large_batch(run):
    net = {"name": "tiny", "norm": False}  # batch normalisation would see the batches' sizes
    large = run(backbone=net, train={"epochs": 2, "batch_size": 32})
    small = run(backbone=net, train={"epochs": 2, "batch_size": 8, "accumulate": 4})
    assert [each["step"] for each in epochs(large)] == [each["step"] for each in epochs(small)] == [2, 4]
    one, other = load(weights(large)), load(weights(small))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_learning_goes_down_and_bf16_runs(run):
    for precision in ("fp32", "bf16"):
        run(train={"epochs": 5, "batch_size": 16, "precision": precision})
        assert epochs()[-1]["val/loss"] < 0.7 * epochs()[0]["train/loss"]


def test_best_is_by_the_monitor_and_patience_stops(run, ftrun):
    folder = run(
        "--set",
        "optimizer.lr=1e-12",
        metrics=["accuracy"],
        train={"epochs": 9, "patience": 2, "monitor": "val/accuracy"},
    )
    assert len(epochs()) == 3, "accuracy cannot improve, so epoch 1 is best and two more are waited for"
    assert read("results.json")["best_epoch"] == 1
    assert "stopped early: no better val/accuracy in 2 epochs" in (folder / "log.txt").read_text()


def test_the_first_metric_is_the_default_monitor(run):
    run(metrics=["f1", "accuracy"])
    assert read("resolved.json")["monitor"] == "val/f1_macro"


def test_best_weights_are_those_of_the_best_epoch(run):
    """A learning rate that spoils the net: the weights of its best epoch are the ones that are kept and judged."""
    spoiling = {"name": "tiny-sgd", "lr": 30.0}
    folder = run(optimizer=spoiling, train={"epochs": 6, "batch_size": 16})
    best = read("results.json")["best_epoch"]
    assert 1 <= best < 6
    assert read("results.json")["val"]["loss"] == epochs()[best - 1]["val/loss"]
    assert weights(folder, "best") != weights(folder, "last")


def test_schedule_and_clip(run):
    run(
        scheduler={"name": "step", "milestones": [0.5], "factor": 0.1},
        train={"epochs": 4, "batch_size": 16, "clip": 0.5},
    )
    assert [each["lr"] for each in epochs()] == pytest.approx([0.1, 0.1, 0.01, 0.01])


def test_no_test_split_is_said_and_val_is_used_where_given(run):
    folder = run(dataset={"name": "tiny", "test": False, "val": True})
    assert read("results.json")["test"] is None
    log = (folder / "log.txt").read_text()
    assert "the dataset has no test split" in log
    assert "the dataset has no val split" not in log
    assert read("results.json")["samples"] == {"train": 60, "val": 12}


def test_metrics_that_are_not_one_figure_are_in_the_results_alone(run):
    run(metrics=["accuracy", "confusion-matrix"])
    assert "val/confusion_matrix" not in epochs()[0]
    matrix = read("results.json")["test"]["confusion_matrix"]
    assert sum(map(sum, matrix)) == 12


def test_input_overrides_reach_the_net(run):
    run(input={"size": [10, 12], "mean": [0.5, 0.5, 0.5]})
    assert read("resolved.json")["input"]["size"] == [10, 12]
    assert read("checkpoints/best/net.json")["input"]["mean"] == [0.5, 0.5, 0.5]


def test_set_is_recorded_beside_the_spec_as_given(run):
    folder = run("--set", "optimizer.lr=0.05", "--set", "train.epochs=1")
    assert json.loads((folder / "spec.json").read_text())["train"]["epochs"] == 2
    assert read("resolved.json")["set"] == ["optimizer.lr=0.05", "train.epochs=1"]
    assert read("resolved.json")["spec"]["optimizer"]["lr"] == 0.05
    assert len(epochs()) == 1


def test_out_names_the_run_folder(site, ftrun):
    assert ftrun(write_spec(tiny_spec()), "--out", "deep/er/mine").exit_code == 0
    assert Path("deep/er/mine/results.json").exists()
    assert not Path("runs").exists()


def test_observers_get_every_event_in_order(run):
    run(observers=[{"name": "recorder", "file": "a.txt"}])
    assert Path("a.txt").read_text().splitlines() == [
        "before_run {'train': 54, 'val': 6, 'test': 12}", "after_epoch 1", "after_epoch 2", "after_run 2",
    ]  # fmt: skip


def test_the_test_split_chooses_nothing(run):
    """With another test split, the same epoch is best and the weights are the same."""
    with_test, without = run(), run(dataset={"name": "tiny", "test": False})
    assert weights(with_test, "best") == weights(without, "best")
