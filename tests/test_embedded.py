"""Embeddings of a frozen backbone that are computed once: the run is the same as without, and the work is not done."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from support import tiny_spec, write_spec
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from ftrun.contracts.errors import DataError, Interrupted
from ftrun.data import cachefolder
from ftrun.inference.evaluation import evaluate_run
from ftrun.runs import predictions
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.assemble import assemble
from ftrun.train.job import Job
from ftrun.train.signals import Signals

CPU = torch.device("cpu")
FROZEN = [{"epochs": 3, "freeze": "features"}]
AUGMENT = ["horizontal-flip", {"name": "random-crop", "padding": 2}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def frozen_spec(phases: Any = FROZEN, *, dataset: Any = None, train: Any = None, **changes: Any) -> dict[str, Any]:
    return tiny_spec(
        dataset={"name": "tiny", "samples": 33, "val": True, **(dataset or {})},
        backbone={"name": "tiny", "dropout": 0.3},
        optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9},
        metrics=["accuracy"],
        train={"batch_size": 8, "phases": phases, **(train or {})},
        **changes,
    )


def start(spec: dict[str, Any], out: str, catalogue: Any, signals: Signals | None = None) -> Path:
    checked = check_spec(spec, catalogue)
    begin.run(begin.Request(checked, "spec", json.dumps(spec), (), catalogue, Path(out), "cpu"), signals)
    return Path(out)


def outcome(folder: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    checkpoints = folder / "checkpoints"
    return {
        "files": [(checkpoints / each / "model.safetensors").read_bytes() for each in ("best", "last")],
        "state": (checkpoints / "last" / "state.safetensors").read_bytes(),
        "metrics": [{key: value for key, value in line.items() if not key.startswith("seconds/")} for line in lines],
    }


def entries() -> list[str]:
    return sorted(str(entry.about["name"]) for entry in cachefolder.entries())


@contextmanager
def convolved() -> Iterator[Counter[bool]]:
    """Counts the samples that go through a convolution, when something learns and when nothing does."""
    samples: Counter[bool] = Counter()

    def count(module: nn.Module, inputs: Any, result: Any) -> None:
        if isinstance(module, nn.Conv2d):
            samples[module.weight.requires_grad] += len(result)

    hook = register_module_forward_hook(count)
    try:
        yield samples
    finally:
        hook.remove()


VARIANTS = {
    "plain": {},
    "val cut from train": {"dataset": {"val": False}},
    "workers": {"dataset": {"workers": True}, "train": {"workers": 2}},
    "accumulate": {"train": {"accumulate": 2}},
    "bf16": {"train": {"precision": "bf16"}},
    "average": {"train": {"average": "ema"}},
    "views": {"phases": [{"epochs": 5, "freeze": "features", "views": 2}], "augment": AUGMENT},
    "augmented": {"augment": AUGMENT},
    "then everything": {"phases": [{"epochs": 2, "freeze": "features"}, {"epochs": 2, "lr_scale": 0.5}]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_is_the_same_with_the_cache_and_without(variant, catalogue, monkeypatch):
    spec = frozen_spec(**VARIANTS[variant])
    first = outcome(start(spec, "first", catalogue))
    assert entries()
    again = outcome(start(spec, "again", catalogue))
    assert again == first
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert outcome(start(spec, "without", catalogue)) == first


def test_the_backbone_runs_once_on_each_sample(catalogue):
    with convolved() as samples:
        start(frozen_spec(), "run", catalogue)
    assert 3 <= samples[False] - (33 + 12 + 12) <= 3 * 8  # a batch of each split, to see what an embedding is
    with convolved() as samples:
        start(frozen_spec(), "again", catalogue)
    assert 3 <= samples[False] <= 3 * 8
    assert entries() == [f"tiny, {split}: embeddings of tiny" for split in ("test", "train", "val")]


def test_val_is_judged_at_the_end_by_its_embeddings_to_the_same_bits(site, catalogue):
    spec = frozen_spec(dataset={"test": False})
    with convolved() as samples:
        folder = start(spec, "run", catalogue)
    assert samples[False] <= 33 + 12 + 2 * 8
    kept = predictions.load(RunFolder.existing(folder), "val")
    shutil.rmtree(folder / "predictions")
    evaluated = evaluate_run(RunFolder.existing(folder), None, None, None)  # by the whole net, and keeps what it gives
    assert evaluated["val"] == json.loads((folder / "results.json").read_text())["val"]
    assert torch.equal(predictions.load(RunFolder.existing(folder), "val").outputs["label"], kept.outputs["label"])


def test_inputs_that_are_augmented_anew_are_not_cached(catalogue):
    with convolved() as samples:
        start(frozen_spec(augment=AUGMENT), "run", catalogue)
    assert entries() == [f"tiny, {split}: embeddings of tiny" for split in ("test", "val")]
    assert 2 <= samples[False] - (3 * 33 + 12 + 12) <= 2 * 8


def test_views_are_taken_in_turn(catalogue):
    spec = frozen_spec([{"epochs": 5, "freeze": "features", "views": 2}], augment=AUGMENT)
    with convolved() as samples:
        start(spec, "run", catalogue)
    assert 4 <= samples[False] - (2 * 33 + 12 + 12) <= 4 * 8
    assert entries() == [f"tiny, {split}: embeddings of tiny" for split in ("test", "train", "train", "val")]
    job = assembled(spec, catalogue)
    inputs = [images(job, epoch) for epoch in (1, 2, 3, 4)]
    assert torch.equal(inputs[0], inputs[2])
    assert torch.equal(inputs[1], inputs[3])
    assert not torch.equal(inputs[0], inputs[1])


def assembled(spec: dict[str, Any], catalogue: Any) -> Job:
    return assemble(check_spec(spec, catalogue), CPU)


def images(job: Job, epoch: int) -> torch.Tensor:
    batches = job.feed.loaders["train"].in_order(lambda each: job.feed.ready(each, job.learner.plan.draw(epoch)))
    return torch.cat([batch.inputs for batch in batches])


CHANGES = {
    "input": ({"input": {"mean": [0.1, 0.1, 0.1]}}, 6),
    "weights": ({"seed": 1}, 6),
    "precision": ({"train": {"precision": "bf16"}}, 6),
    "batch size": ({"train": {"batch_size": 9}}, 6),
    "training data": ({"dataset": {"samples": 34}}, 4),
    "optimizer": ({"optimizer": {"name": "adam", "lr": 0.01}}, 3),
    "patience": ({"train": {"patience": 1}}, 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_entry_belongs_to_all_that_it_depends_on_and_nothing_else(change, catalogue):
    changes, expected = CHANGES[change]
    start(frozen_spec(), "run", catalogue)
    spec = frozen_spec(dataset=changes.get("dataset"), train=changes.get("train"))
    start({**spec, **{key: value for key, value in changes.items() if key not in ("dataset", "train")}}, "b", catalogue)
    assert len(entries()) == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_what_learns_later_learns_with_every_optimizer(optimizer, catalogue):
    phases = [{"epochs": 1, "freeze": "features"}, {"epochs": 1}, {"epochs": 1, "freeze": "stem"}]
    spec = {**frozen_spec(phases), "optimizer": {"name": optimizer, "lr": 0.01}}
    copies = Path("copies")
    copies.mkdir()
    whole = start(spec, "whole", catalogue, EachEpoch(Path("whole"), copies))
    assert len(list(copies.iterdir())) >= 3
    for copy in copies.iterdir():
        shutil.rmtree(cachefolder.folder())
        begin.resume(RunFolder.existing(copy), catalogue, None, None)
        assert outcome(copy) == outcome(whole)


class EachEpoch(Signals):
    """Keeps a copy of the run folder as it is in the middle of each epoch."""

    def __init__(self, folder: Path, copies: Path) -> None:
        super().__init__()
        self.folder, self.copies, self.steps = folder, copies, 0

    @property
    def waiting(self) -> bool:
        self.steps += 1
        if self.steps % 3 == 2:
            self.save_asked = True
        elif self.steps % 3 == 0:
            shutil.copytree(self.folder, self.copies / str(self.steps))
        return super().waiting


def test_a_damaged_entry_is_made_anew(catalogue):
    whole = outcome(start(frozen_spec(), "run", catalogue))
    for entry in cachefolder.entries():
        os.truncate(entry.path / "data", 5)
    assert outcome(start(frozen_spec(), "again", catalogue)) == whole


def test_without_room_or_a_place_the_run_goes_on_without(catalogue, monkeypatch, tmp_path):
    whole = outcome(start(frozen_spec(), "run", catalogue))
    monkeypatch.setenv("FTRUN_CACHE_GB", "0.0000001")
    assert outcome(start(frozen_spec(), "no room", catalogue)) == whole
    monkeypatch.delenv("FTRUN_CACHE_GB")
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "file"))
    assert outcome(start(frozen_spec(), "no place", catalogue)) == whole


def test_samples_that_cannot_be_read_are_skipped_and_listed_as_ever(catalogue, monkeypatch):
    spec = frozen_spec(dataset={"fails_at": 5}, train={"on_corrupt": 2})
    results = []
    for out in ("first", "again", "without"):
        if out == "without":
            monkeypatch.setenv("FTRUN_CACHE_GB", "0")
        folder = start(spec, out, catalogue)
        corrupt = json.loads((folder / "results.json").read_text())["corrupt"]
        assert [(each["split"], each["sample"]) for each in corrupt] == [("train", 5)]
        results.append(outcome(folder))
    assert results[0] == results[1] == results[2]
    with pytest.raises(DataError, match="sample 5 cannot be read"):
        start(frozen_spec(dataset={"fails_at": 5}), "error", catalogue)


class StopWhileEmbedding(Signals):
    """Ctrl-C comes at the second batch that the backbone runs on."""

    looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks == 2:
            self._received = signal.SIGINT
        super().check()


def test_a_signal_while_embeddings_are_computed_leaves_nothing_half_made(catalogue):
    whole = outcome(start(frozen_spec(), "whole", catalogue))
    shutil.rmtree(cachefolder.folder())
    with pytest.raises(Interrupted):
        start(frozen_spec(), "run", catalogue, StopWhileEmbedding())
    assert entries() == []
    assert not list(cachefolder.folder().glob("*.new"))
    begin.resume(RunFolder.existing(Path("run")), catalogue, None, None)
    assert outcome(Path("run")) == whole


def test_frozen_is_without_gradient_dropout_or_change_and_weight_decay_leaves_it_alone(catalogue):
    spec = {**frozen_spec(), "optimizer": {"name": "adamw", "lr": 0.1, "weight_decay": 0.5}, "augment": AUGMENT}
    job = assembled(spec, catalogue)
    before = {name: tensor.clone() for name, tensor in job.learner.net.model.state_dict().items()}
    folder = start(spec, "run", catalogue)
    after = torch.nn.Module.state_dict(reloaded(folder, spec, catalogue).learner.net.model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"6.weight", "6.bias"}
    job.learner.plan.enter_epoch(job.learner.net, 1)
    job.learner.net.train()
    assert {name for name, each in job.learner.net.model.named_modules() if each.training} == {"6"}
    job.learner.net.freeze([])
    assert job.learner.net.model[5].training  # dropout is back


def reloaded(folder: Path, spec: dict[str, Any], catalogue: Any) -> Job:
    from ftrun.runs import checkpoint

    job = assembled(spec, catalogue)
    checkpoint.load_weights(folder / "checkpoints" / "last", job.learner.net.model)
    return job


def test_the_cli_says_so_in_one_line_a_split(site, ftrun):
    spec = write_spec(frozen_spec())
    lines = ftrun(spec).output.splitlines()
    said = [line.partition(", in ")[0] for line in lines if "backbone" in line]
    assert said == [
        "train: the frozen backbone has run once on each of 33 samples",
        "val: the frozen backbone has run once on each of 12 samples",
        "test: the frozen backbone has run once on each of 12 samples",
    ]
