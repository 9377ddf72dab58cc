"""The choice of precision and memory format."""

import json
from pathlib import Path

import pytest
import torch
from support import tiny_spec

from ftrun import cachefolder
from ftrun.catalogue import Catalogue
from ftrun.check import check_spec
from ftrun.run import tuning
from ftrun.run.assemble import Job, assemble
from ftrun.run.tuning import Setting

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))


def assembled(catalogue: Catalogue, said: list[str], **train: object) -> Job:
    spec = tiny_spec(dataset={"name": "tiny", "samples": 200}, train={"epochs": 10, "batch_size": 10, **train})
    return assemble(check_spec(spec, catalogue), CPU, said.append)


def remembered() -> list[Path]:
    return list((cachefolder.folder() / "speed").glob(f"{'?' * 32}.json"))


def test_the_fastest_is_chosen_and_remembered(catalogue):
    said: list[str] = []
    job = assembled(catalogue, said)
    (place,) = remembered()
    about = json.loads(place.read_text())
    assert job.setting == Setting(about["precision"], about["memory_format"])
    assert set(about["seconds"]) <= {
        "fp32, channels_last", "fp32, contiguous", "bf16, channels_last", "bf16, contiguous"
    }  # fmt: skip
    cost = {name: seconds * (1.05 if name.startswith("bf16") else 1) for name, seconds in about["seconds"].items()}
    assert str(job.setting) == min(cost, key=cost.__getitem__)
    assert said[-1].startswith(f"precision: {job.setting}, the fastest here: ")
    assert said[-1].endswith(" s, and remembered)")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
def test_what_was_found_before_is_used_again_whatever_it_was(precision, memory_format, catalogue):
    assembled(catalogue, [])
    (place,) = remembered()
    place.write_text(json.dumps({"precision": precision, "memory_format": memory_format}))
    said: list[str] = []
    assert assembled(catalogue, said).setting == Setting(precision, memory_format)
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
    assert assembled(catalogue, [], epochs=4).setting == Setting("fp32", "channels_last")
    assert not remembered()


@pytest.mark.parametrize(("batches", "timed"), [(599, [0]), (601, [0, 1, 0, 1, 0, 1])])
def test_on_a_gpu_a_run_of_less_than_a_minute_measures_nothing(batches, timed):
    settings = [Setting("fp32"), Setting("bf16")]
    asked = []

    def seconds_of(setting: Setting, turn: int) -> float:
        asked.append(settings.index(setting))
        return 0.1

    assert bool(tuning._take_turns(seconds_of, settings, torch.device("cuda"), batches)) == (batches > 600)
    assert asked == timed


def test_what_the_spec_says_is_not_measured(catalogue):
    job = assembled(catalogue, [], precision="bf16", memory_format="contiguous")
    assert job.setting == Setting("bf16", "contiguous")
    assert not remembered()


def test_measuring_leaves_the_net_as_it_was(catalogue):
    job, plain = assembled(catalogue, []), assembled(catalogue, [], precision="fp32", memory_format="channels_last")
    for (name, one), (_, other) in zip(job.net.state_dict().items(), plain.net.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    assert all(parameter.grad is None for parameter in job.net.parameters())


def test_a_setting_puts_weights_and_precision_in_place(catalogue):
    job = assembled(catalogue, [])
    conv = next(each for each in job.net.modules() if isinstance(each, torch.nn.Conv2d))
    Setting("bf16", "contiguous").apply(job.net)
    assert conv.weight.is_contiguous()
    Setting("bf16", "channels_last").apply(job.net)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    with Setting("bf16", "contiguous").autocast(CPU):
        assert conv(torch.zeros(1, 3, 8, 8)).dtype == torch.bfloat16
    with Setting("fp32", "contiguous").autocast(CPU):
        assert conv(torch.zeros(1, 3, 8, 8)).dtype == torch.float32
