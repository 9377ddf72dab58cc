"""Augmentations that are off in the last epochs, sets of augmentations, and those that both move and change images."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support import install, tiny_spec, write_spec
from test_resume import at_every_step, go_on, outcome

from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.progress import Progress
from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble

CODE = (Path(__file__).parent / "distributions" / "ftrun_batches.py").read_text()


def spec_with(**changes: Any) -> dict[str, Any]:
    train = {"batch_size": 8, "precision": "fp32", **changes.pop("train", {"epochs": 2})}
    base = {"dataset": {"name": "tiny", "samples": 20, "val": True}, "loss": "cross-entropy", "metrics": ["accuracy"]}
    return tiny_spec(**{**base, **changes}, train=train)


def job_of(spec: Any, catalogue: Catalogue) -> Any:
    return assemble(check_spec(spec, catalogue), torch.device("cpu"))


def seen(job: Any, epoch: int) -> torch.Tensor:
    """What the net sees of each sample in an epoch."""
    ready = job.feed.ready.at(job.course.progress_of(epoch))
    return torch.cat([ready(batch, epoch).inputs for batch in job.feed.loaders["train"].in_order(lambda batch: batch)])


def test_an_augmentation_is_off_from_where_the_spec_has_it(catalogue):
    crop = {"name": "random-crop", "padding": 2}
    spec = spec_with(augment=[{"name": "horizontal-flip", "until": 0.5}, {**crop, "until": 0.8}], train={"epochs": 5})
    job = job_of(spec, catalogue)
    plain = job_of(spec_with(augment=[]), catalogue)
    always = job_of(spec_with(augment=["horizontal-flip", crop], train={"epochs": 5}), catalogue)
    none = seen(plain, 1)
    for epoch in (1, 2, 3):
        assert torch.equal(seen(job, epoch), seen(always, epoch))
    assert not torch.equal(seen(job, 4), seen(always, 4))
    assert not torch.equal(seen(job, 4), none)
    assert torch.equal(seen(job, 5), none)


def test_one_that_mixes_batches_is_off_by_the_same_option(site):
    install(site, "ftrun-batches", CODE)
    job = job_of(spec_with(augment=[{"name": "mix", "until": 0.5}], train={"epochs": 4}), installed())
    assert [bool(job.feed.mixing.at(job.course.progress_of(epoch))) for epoch in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_run_with_augmentations_that_end_is_resumed_to_the_bit(tmp_path, catalogue):
    spec = spec_with(augment=[{"name": "horizontal-flip", "until": 0.5}, {"name": "trivial-augment", "until": 0.5}])
    folder, copies = at_every_step(spec, tmp_path, catalogue)
    expected = outcome(folder)
    for copy in (copies[1], copies[4]):  # in the first epoch; in the second, which has none
        assert outcome(go_on(copy, catalogue)) == expected


def test_embeddings_of_epochs_without_augmentation_are_those_of_plain_inputs(catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    phases = {"phases": [{"epochs": 4, "freeze": "features", "views": 2}]}
    augment = [{"name": "horizontal-flip", "until": 0.75}, {"name": "random-crop", "padding": 2, "until": 0.5}]
    job = job_of(spec_with(augment=augment, train=phases), catalogue)
    plain = job_of(spec_with(augment=[], train=phases), catalogue)

    def embedded(of: Any, epoch: int) -> torch.Tensor:
        loader = of.feed.embeddings.loader(of, "train", epoch, of.portions(Progress()))
        return torch.cat([batch.inputs for batch in loader.in_order(lambda batch: batch)])

    of_epochs = [embedded(job, epoch) for epoch in (1, 2, 3, 4)]
    assert not torch.equal(of_epochs[0], of_epochs[2])  # the same draw, of the flip alone
    assert torch.equal(of_epochs[3], embedded(plain, 4))
    assert not torch.equal(of_epochs[2], of_epochs[3])


def test_a_set_stands_for_its_augmentations(catalogue):
    members = [
        {"name": "random-resized-crop", "scale": [0.5, 1.0], "until": 0.5},
        "horizontal-flip",
        {"name": "trivial-augment"},
    ]
    one = job_of(spec_with(augment=[{"name": "medium", "of": members, "until": 0.9}], train={"epochs": 4}), catalogue)
    several = [*members[:1], {"name": "horizontal-flip", "until": 0.9}, {"name": "trivial-augment", "until": 0.9}]
    other = job_of(spec_with(augment=several, train={"epochs": 4}), catalogue)
    for epoch in (1, 3, 4):
        assert torch.equal(seen(one, epoch), seen(other, epoch))


def test_a_set_is_written_out_in_the_run_folder(site, ftrun):
    result = ftrun(write_spec(spec_with(augment="light", train={"epochs": 1})), "--out", "run")
    assert result.exit_code == 0, result.output
    (light,) = json.loads(Path("run/resolved.json").read_text())["spec"]["augment"]
    assert [each["name"] for each in light["of"]] == ["random-resized-crop", "horizontal-flip"]


def test_a_fault_in_a_set_has_its_place(site, ftrun):
    spec = spec_with(augment=[{"name": "light", "of": ["horizontal-flip", {"name": "rotat"}]}])
    result = ftrun("check", write_spec(spec))
    assert result.exit_code == 2
    assert "augment.0.of.1" in result.output
    assert "rotate" in result.output


@pytest.mark.parametrize("until", [0, 1.5, "half"])
def test_until_is_a_part_of_the_run(site, ftrun, until):
    result = ftrun("check", write_spec(spec_with(augment=[{"name": "rotate", "until": until}])))
    assert result.exit_code == 2
    assert "augment.0.until" in result.output


@pytest.mark.parametrize(
    "name", ["trivial-augment", "rand-augment", "perspective", "affine", "random-erasing", "cutmix"]
)
def test_a_run_is_what_it_is_whatever_reads_its_data(name, catalogue):
    """By a worker process, batch by batch, and in memory, in one chunk; and with batches of another size."""
    augment = ["horizontal-flip", {"name": "random-crop", "padding": 2}, name]
    whole = job_of(spec_with(augment=augment), catalogue)
    spec = spec_with(augment=augment)
    spec["dataset"]["workers"] = True
    spec["train"]["workers"] = 1
    for one, two in zip(steps_of(whole), steps_of(job_of(spec, catalogue)), strict=True):
        assert torch.equal(one.inputs, two.inputs)
        assert torch.equal(one.targets["label"], two.targets["label"])
    if name != "cutmix":
        small = spec_with(augment=augment, train={"epochs": 2, "batch_size": 3})
        assert torch.equal(seen(whole, 1), seen(job_of(small, catalogue), 1))


def steps_of(job: Any) -> list[Any]:
    ready = job.feed.ready
    steps = job.feed.loaders["train"].shuffled(job.spec.seed, 1, lambda batch: ready(batch, 1), accumulate=1)
    return [batch for (batch,) in job.feed.mixing(steps, 1, 0)]
