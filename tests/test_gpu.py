"""On a GPU: data that stays there, steps that are recorded once and replayed. All skipped where there is none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import install, tiny_spec, write_spec

from ftrun.contracts.data import TensorSplit
from ftrun.contracts.errors import SpecError
from ftrun.contracts.targets import Classes
from ftrun.data import loader
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.loader import Loader
from ftrun.plugins.catalogue import installed
from ftrun.runs.background import snapshot
from ftrun.spec.check import check_spec
from ftrun.train import tuning
from ftrun.train.accel import graphs
from ftrun.train.assemble import assemble
from ftrun.train.device import choose_device
from ftrun.train.prepare import choose_precision
from ftrun.train.signals import Signals

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ODD_LOSSES = """
import random
from typing import Literal
import ftrun

class Waiting(ftrun.Loss):
    '''Looks at its own value.'''
    name: Literal["waiting"]
    def build(self, target, values):
        return _made(lambda loss: loss if loss.item() < 1e9 else loss * 0)

class Drawing(ftrun.Loss):
    '''Draws a weight for each step in Python.'''
    name: Literal["drawing"]
    def build(self, target, values):
        return _made(lambda loss: loss * random.random())

class Stopping(ftrun.Loss):
    '''Waits in a way that torch does not tell of.'''
    name: Literal["stopping"]
    def build(self, target, values):
        import torch
        def stop(loss):
            torch.cuda.synchronize()
            return loss
        return _made(stop)

def _made(changed):
    import torch
    class Odd(torch.nn.CrossEntropyLoss):
        def forward(self, output, target):
            return changed(super().forward(output, target))
    return Odd()

class Prices(ftrun.Dataset):
    '''One of its samples has a value whose square is infinite.'''
    name: Literal["prices"]
    def build(self):
        import torch
        splits = {}
        for seed, name in enumerate(("train", "val")):
            images = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
            prices = images.float().mean((1, 2, 3))[:, None] / 255
            if name == "train":
                prices[7] = 1e30
            splits[name] = ftrun.TensorSplit(images, {"price": prices})
        return ftrun.Splits(**splits, targets={"price": ftrun.Values(mean=(0.0,), std=(1.0,))})

@ftrun.hookimpl
def ftrun_datasets():
    return [Prices]

@ftrun.hookimpl
def ftrun_losses():
    return [Waiting, Drawing, Stopping]
"""


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each step that was replayed."""
    made: list[int] = []
    real = graphs._Recorded.replay

    def replay(self: Any, batch: Any) -> Any:
        made.append(len(batch))
        return real(self, batch)

    monkeypatch.setattr(graphs._Recorded, "replay", replay)
    return made


def spec_with(**changes: Any) -> dict[str, Any]:
    train = {"epochs": 3, "batch_size": 16, "average": "ema", "clip": 1.0, **changes.pop("train", {})}
    return tiny_spec(
        **{
            "dataset": {"name": "tiny", "samples": 104},
            "backbone": {"name": "tiny", "dropout": 0.3},
            "augment": ["horizontal-flip", {"name": "random-crop", "padding": 2}, "color-jitter"],
            "optimizer": {"name": "adamw", "lr": 0.01},
            "train": train,
            **changes,
        }
    )


def weights_of(ftrun: Callable[..., Any], spec: dict[str, Any], out: str) -> dict[str, torch.Tensor]:
    result = ftrun("run", write_spec(spec), "--out", out, "--device", "cuda")
    assert result.exit_code == 0, result.output
    assert ("not recorded as a CUDA graph" in result.output) == (out == "not-recorded")
    return load_file(Path(out) / "checkpoints/last/model.safetensors")


def assert_alike(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    for name, tensor in some.items():
        assert torch.allclose(tensor, others[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_replayed_steps_learn_what_others_do(site, ftrun, replays, precision, accumulate):
    train = {"precision": precision, "accumulate": accumulate}
    replayed = weights_of(ftrun, spec_with(train=train), "replayed")
    # 93 samples are trained on: 5 batches of 16 and one of 13 in each epoch; the first two of a kind warm up
    assert replays == ([16] * (3 + 5 + 5) + [13] if accumulate == 1 else [])
    assert_alike(replayed, weights_of(ftrun, spec_with(train={**train, "cuda_graphs": False}), "one-by-one"))


def test_what_learns_may_change(site, ftrun, replays):
    phases = [{"epochs": 1, "freeze": "features"}, {"epochs": 2, "lr_scale": 0.5}]
    train = {"epochs": 3, "phases": phases}
    replayed = weights_of(ftrun, spec_with(train=train), "replayed")
    assert replays == [16] * (3 + 3 + 5)  # each phase is recorded anew
    assert_alike(replayed, weights_of(ftrun, spec_with(train={**train, "cuda_graphs": False}), "one-by-one"))


@pytest.mark.parametrize("loss", ["waiting", "drawing", "stopping"])
def test_what_cannot_be_replayed_is_not(site, ftrun, replays, loss):
    install(site, "ftrun-odd", ODD_LOSSES)
    weights = weights_of(ftrun, spec_with(loss=loss, seed=3), "not-recorded")
    assert replays == []
    if loss != "drawing":  # Python's own generator goes on where it was
        assert_alike(
            weights, weights_of(ftrun, spec_with(loss=loss, seed=3, train={"cuda_graphs": False}), "one-by-one")
        )


def test_a_loss_that_is_not_finite_is_seen(site, ftrun):
    spec = spec_with(optimizer={"name": "sgd", "lr": 1e30}, backbone={"name": "tiny", "norm": False})
    result = ftrun("run", write_spec(spec), "--out", "run", "--device", "cuda")
    assert "training diverged at step" in result.output
    assert json.loads(Path("run/status.json").read_text())["state"] == "diverged"


@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.01}, {"name": "adamw", "lr": 0.01}])
def test_an_optimizer_leaves_out_by_itself_what_is_not_finite(site, ftrun, optimizer):
    install(site, "ftrun-odd", ODD_LOSSES)
    train = {"epochs": 6, "clip": None, "on_nonfinite": "skip"}
    spec = spec_with(dataset="prices", loss="mse", metrics=[], optimizer=optimizer, augment=[], train=train)
    by_itself = weights_of(ftrun, spec, "by-itself")
    # Where gradients are clipped, each step is looked at before it is made.
    looked_at = weights_of(ftrun, {**spec, "train": {**spec["train"], "clip": 1e9}}, "looked-at")
    skipped = [json.loads(Path(out, "results.json").read_text())["skipped_steps"] for out in ("by-itself", "looked-at")]
    assert skipped[0] == skipped[1]
    assert len(skipped[0]) == 6
    assert any(step % 3 != 1 for step in skipped[0])  # not in the first step of an epoch alone
    assert_alike(by_itself, looked_at)


def test_a_resumed_run_is_the_same(site, ftrun):
    result = ftrun("verify-resume", write_spec(spec_with()), "--kills", "2", "--device", "cuda")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("share", [0.25, 0.0])
def test_data_comes_the_same_from_anywhere(monkeypatch, share):
    monkeypatch.setattr(loader, "_MOST_RESIDENT", share)
    images = torch.randint(0, 256, (5000, 3, 4, 4), dtype=torch.uint8)
    split = TensorSplit(images, {"label": torch.arange(5000)})
    devices = [torch.device("cpu"), torch.device("cuda")]
    here, there = (
        Loader(
            "train",
            split,
            lambda raw: raw + 1,
            CorruptSamples(0, print),
            batch_size=7,
            workers=None,
            device=device,
            sample_bytes=48,
            targets={"label": Classes(names=tuple(map(str, range(5000))))},
        )
        for device in devices
    )
    for a, b in zip(here.shuffled(0, 1, start=3), there.shuffled(0, 1, start=3), strict=True):
        assert b[0].inputs.is_cuda == bool(share)
        assert torch.equal(a[0].inputs, b[0].inputs.cpu())
        assert torch.equal(a[0].targets["label"], b[0].targets["label"].cpu())
        assert torch.equal(a[0].ids, b[0].ids.cpu())


def test_the_choice_of_precision_runs_there(site, monkeypatch):
    monkeypatch.setattr(tuning, "_SHORT_ON_GPU", 0.0)
    monkeypatch.setenv("FTRUN_CACHE", str(site / "cache"))
    said: list[str] = []
    spec = spec_with(dataset={"name": "tiny", "samples": 1704}, train={"epochs": 2})
    job = assemble(check_spec(spec, installed()), torch.device("cuda"), said.append)
    choose_precision(job, said.append, Signals())
    assert said[-1].startswith("precision: ")
    assert said[-1].endswith("and remembered)")


def test_what_is_saved_behind_is_a_copy():
    weights = torch.randn(64, 64, 3, 3, device="cuda").to(memory_format=torch.channels_last)
    before = weights.cpu()
    copy = snapshot({"state": [weights]})["state"][0]
    for _ in range(100):
        weights.add_(1)
    assert copy.is_contiguous()
    assert copy.is_pinned()  # else the copying is what takes the time
    assert torch.equal(copy, before)


@pytest.mark.parametrize("name", ["cuda:64", "cuda:7x"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(SpecError, match="no such device here"):
        choose_device(name)
    assert choose_device("cuda:0") == torch.device("cuda:0")
