"""The choice of precision and memory format."""

import json
from pathlib import Path

import pytest
import torch
from support import tiny_spec

from ftrun.data import cachefolder
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.check import check_spec
from ftrun.spec.trainspec import Train
from ftrun.train import tuning
from ftrun.train.assemble import assemble
from ftrun.train.job import Job
from ftrun.train.prepare import choose_precision
from ftrun.train.signals import Signals
from ftrun.train.tuning import ComputeFormat

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))


def assembled(catalogue: Catalogue, said: list[str], **train: object) -> Job:
    spec = tiny_spec(dataset={"name": "tiny", "samples": 200}, train={"epochs": 15, "batch_size": 10, **train})
    job = assemble(check_spec(spec, catalogue), CPU, said.append)
    choose_precision(job, said.append, Signals())
    return job


def remembered() -> list[Path]:
    return list((cachefolder.folder() / "speed").glob(f"{'?' * 32}.json"))


def test_the_fastest_is_chosen_and_remembered(catalogue):
    said: list[str] = []
    job = assembled(catalogue, said)
    (place,) = remembered()
    about = json.loads(place.read_text())
    assert job.engine.setting == ComputeFormat(about["precision"], about["memory_format"])
    assert set(about["seconds"]) <= {
        "fp32, channels_last", "fp32, contiguous", "bf16, channels_last", "bf16, contiguous"
    }  # fmt: skip
    cost = {name: seconds * (1.05 if name.startswith("bf16") else 1) for name, seconds in about["seconds"].items()}
    assert str(job.engine.setting) == min(cost, key=cost.__getitem__)
    assert said[-1].startswith(f"precision: {job.engine.setting}, the fastest here: ")
    assert said[-1].endswith(" s, and remembered)")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
def test_what_was_found_before_is_used_again_whatever_it_was(precision, memory_format, catalogue):
    assembled(catalogue, [])
    (place,) = remembered()
    place.write_text(json.dumps({"precision": precision, "memory_format": memory_format}))
    said: list[str] = []
    assert assembled(catalogue, said).engine.setting == ComputeFormat(precision, memory_format)
    assert said[-1] == f"precision: {precision}, {memory_format}, the fastest here as measured before"


@pytest.mark.parametrize("written", ["", "{", "[]", '{"precision": "fp8", "memory_format": "contiguous"}'])
def test_a_memory_that_is_damaged_is_none(written, catalogue):
    assembled(catalogue, [])
    (place,) = remembered()
    place.write_text(written)
    said: list[str] = []
    assembled(catalogue, said)
    assert "measured in" in said[-1]


def test_another_batch_is_measured_anew(catalogue):
    assembled(catalogue, [])
    assembled(catalogue, [], batch_size=12)
    assembled(catalogue, [], precision="fp32")
    assert len(remembered()) == 3


def test_a_choice_that_cannot_be_remembered_is_made_all_the_same(tmp_path, catalogue, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    assembled(catalogue, said)
    assert said[-1].endswith("but not remembered)")


def test_a_short_run_measures_nothing(catalogue):
    assert assembled(catalogue, [], epochs=4).engine.setting == ComputeFormat("fp32", "channels_last")
    assert not remembered()


@pytest.mark.parametrize(("batches", "timed"), [(599, [0]), (601, [0, 1, 0, 1, 0, 1])])
def test_on_a_gpu_a_run_of_less_than_a_minute_measures_nothing(batches, timed):
    settings = [ComputeFormat("fp32"), ComputeFormat("bf16")]
    asked = []

    def seconds_of(setting: ComputeFormat, turn: int, fastest: float) -> float:
        asked.append(settings.index(setting))
        return 0.1

    assert bool(tuning._take_turns(seconds_of, settings, torch.device("cuda"), batches)) == (batches > 600)
    assert asked == timed


def test_a_first_step_that_takes_far_too_long_is_the_only_one(monkeypatch):
    clock, steps = [0.0], []

    def step() -> None:
        steps.append(clock[0])
        clock[0] += 20.0

    monkeypatch.setattr(tuning, "perf_counter", lambda: clock[0])
    assert tuning._seconds(step, CPU, 0, hopeless=15.0) == 20.0
    assert len(steps) == 1
    assert tuning._seconds(step, CPU, 0, hopeless=25.0) == 20.0
    assert len(steps) == 3


def test_what_the_spec_says_is_not_measured(catalogue):
    job = assembled(catalogue, [], precision="bf16", memory_format="contiguous")
    assert job.engine.setting == ComputeFormat("bf16", "contiguous")
    assert not remembered()


def test_measuring_leaves_the_net_as_it_was(catalogue):
    job, plain = assembled(catalogue, []), assembled(catalogue, [], precision="fp32", memory_format="channels_last")
    for (name, one), (_, other) in zip(
        job.learner.net.state_dict().items(), plain.learner.net.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name
    assert all(parameter.grad is None for parameter in job.learner.net.parameters())


def test_a_setting_puts_weights_and_precision_in_place(catalogue):
    job = assembled(catalogue, [])
    conv = next(each for each in job.learner.net.modules() if isinstance(each, torch.nn.Conv2d))
    ComputeFormat("bf16", "contiguous").apply(job.learner.net)
    assert conv.weight.is_contiguous()
    ComputeFormat("bf16", "channels_last").apply(job.learner.net)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    with ComputeFormat("bf16", "contiguous").autocast(CPU):
        assert conv(torch.zeros(1, 3, 8, 8)).dtype == torch.bfloat16
    with ComputeFormat("fp32", "contiguous").autocast(CPU):
        assert conv(torch.zeros(1, 3, 8, 8)).dtype == torch.float32


PROBE = {"phases": [{"epochs": 50, "freeze": "features"}], "epochs": 50}


def test_a_run_of_the_head_alone_measures_nothing_where_its_backbone_runs_once(catalogue):
    """Fifty epochs read embeddings: 22 batches is all that the net computes."""
    assembled(catalogue, [], **PROBE)
    assert not remembered()


def test_where_all_but_the_head_is_frozen_inference_is_measured(catalogue, monkeypatch):
    class Never(torch.nn.Module):
        def forward(self, *arguments: object) -> None:
            raise AssertionError("a step of training")

    job = assembled(catalogue, [], **PROBE, precision="fp32", memory_format="contiguous")
    work = job.learner.plan.work(20, 2, augmented=True)
    chosen = tuning.choose(
        job.spec.train.model_copy(update={"precision": "auto"}),
        job.learner.net, Never(), work, job.feed.loaders["train"].sample, job.feed.ready, CPU, job.engine.graphs, print,
    )  # fmt: skip
    (place,) = remembered()
    assert str(chosen) in json.loads(place.read_text())["seconds"]


@pytest.mark.parametrize(
    ("phases", "augmented", "expected"),
    [
        ([{"epochs": 5}], True, (500, 50)),
        ([{"epochs": 5, "freeze": "stem"}], False, (0, 110)),
        ([{"epochs": 5, "freeze": "features"}], True, (0, 550)),
        ([{"epochs": 5, "freeze": "features", "views": 2}], True, (0, 210)),
        ([{"epochs": 5, "freeze": "features", "views": 9}], True, (0, 510)),
        ([{"epochs": 5, "freeze": "features"}, {"epochs": 2}], False, (200, 130)),
    ],
)
def test_what_a_run_does_with_its_net(phases, augmented, expected, catalogue):
    epochs = sum(each["epochs"] for each in phases)
    fixed = {"precision": "fp32", "memory_format": "contiguous"}
    job = assembled(catalogue, [], phases=phases, epochs=epochs, **fixed)
    work = job.learner.plan.work(100, 10, augmented=augmented)
    assert (work.training, work.inference) == expected


def test_work_counts_in_batches_of_what_takes_the_most_time():
    assert (tuning.Work(100, 30).trains, tuning.Work(100, 30).batches) == (True, 110)
    assert (tuning.Work(10, 300).trains, tuning.Work(10, 300).batches) == (False, 330)


def test_a_net_without_images_has_one_memory_format():
    train = Train()
    linear, conv = torch.nn.Linear(2, 2), torch.nn.Conv2d(1, 1, 1)
    assert {each.memory_format for each in tuning.allowed(train, linear)} == {"contiguous"}
    assert {each.memory_format for each in tuning.allowed(train, conv)} == {"contiguous", "channels_last"}
    forced = Train(memory_format="channels_last")
    assert {each.memory_format for each in tuning.allowed(forced, linear)} == {"channels_last"}
