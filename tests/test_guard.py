"""What is not finite, does not fit into memory or cannot be read stops the run or is worked around, never hidden."""

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from safetensors.torch import load_file
from support import EveryStep, install, tiny_spec, write_spec

import ftrun as ftrun_package
from ftrun.plugins.catalogue import installed
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.assemble import assemble
from ftrun.train.signals import Signals

PERILS = """
from typing import Literal

import ftrun
from ftrun_tiny import TinyBackbone, TinyDataset


class Prices(ftrun.Dataset):
    name: Literal["prices"]
    spoilt: tuple[int, ...] = ()
    value: float = 1e30

    def build(self):
        import torch

        splits = {}
        for offset, (name, count) in enumerate({"train": 40, "val": 12, "test": 12}.items()):
            random = torch.Generator().manual_seed(offset)
            images = torch.randint(0, 256, (count, 1, 8, 8), generator=random).to(torch.uint8)
            prices = images.float().mean((1, 2, 3))[:, None] / 255
            if name == "train":
                prices[list(self.spoilt)] = self.value
            splits[name] = ftrun.TensorSplit(images, {"price": prices})
        return ftrun.Splits(**splits, targets={"price": ftrun.Values(mean=(0.0,), std=(1.0,))})


class NoSlope(ftrun.Loss):
    name: Literal["no-slope"]
    kinds = ("values",)

    def build(self, target, values):
        import torch

        class Module(torch.nn.Module):
            def forward(self, output, values):
                marked = values > 100
                root = (output[marked] * 0).sqrt().sum()
                return (output - values.where(~marked, output)).square().mean() + root

        return Module()


class Narrow(ftrun.Loss):
    name: Literal["narrow"]
    kinds = ("values",)

    def build(self, target, values):
        import torch

        class Module(torch.nn.Module):
            def forward(self, output, values):
                loss = (output - values).square().mean()
                return loss if output.abs().max() < 20 else loss * torch.nan

        return Module()


class Torn(ftrun.Dataset):
    name: Literal["torn"]
    train: tuple[int, ...] = ()
    val: tuple[int, ...] = ()
    test: tuple[int, ...] = ()

    def build(self):
        splits = TinyDataset(name="tiny", samples=40, val=True).build()
        for name, split in splits.items():
            split.__class__ = OneByOne
            split.torn = getattr(self, name)
        return splits


class OneByOne(ftrun.TensorSplit):
    in_memory = False

    def __getitems__(self, indices):
        for index in indices:
            if index in self.torn:
                raise ftrun.DataError(f"image-{index}.png cannot be read: it is torn.")
        return super().__getitems__(indices)


class Greedy(TinyBackbone):
    name: Literal["greedy"]
    fits: int

    def build(self, overrides):
        import torch

        def take(module, inputs):
            if len(inputs[0]) > self.fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is.")

        net = super().build(overrides)
        net.model[0].register_forward_pre_hook(take)
        return net


@ftrun.hookimpl
def ftrun_datasets():
    return [Prices, Torn]


@ftrun.hookimpl
def ftrun_losses():
    return [NoSlope, Narrow]


@ftrun.hookimpl
def ftrun_backbones():
    return [Greedy]
"""


class AsKilled(Signals):
    """Keeps a copy of the run folder as a kill after each step would leave it."""

    def __init__(self, folder: Path, copies: Path) -> None:
        super().__init__()
        self.folder, self.copies = folder, copies

    @property
    def waiting(self) -> bool:
        shutil.copytree(self.folder, self.copies / str(len(list(self.copies.iterdir()))))
        return False


@pytest.fixture(autouse=True)
def perils(site):
    """Parts that go wrong."""
    install(site, "ftrun-perils", PERILS)


@pytest.fixture
def attempt(ftrun):
    """Run a spec by the command line; give its result and its folder, whatever came of it."""

    def start(**changes: Any) -> tuple[Any, Path]:
        result = ftrun(write_spec(tiny_spec(**changes)))
        return result, max(Path("runs").iterdir(), key=lambda folder: int(folder.name.rpartition("-")[2]))

    return start


def at_every_step(signals: type[EveryStep | AsKilled] = EveryStep, **changes: Any) -> tuple[Path, list[Path]]:
    """A straight run, and its folder as it was after each step."""
    spec, catalogue = tiny_spec(**changes), installed()
    Path("copies").mkdir()
    request = begin.Request(
        check_spec(spec, catalogue), "spec", json.dumps(spec), (), catalogue, Path("straight"), "cpu"
    )
    begin.run(request, signals(Path("straight"), Path("copies")))
    return Path("straight"), sorted(Path("copies").iterdir(), key=lambda each: int(each.name))


def resumed_at_every_step_is_equal(signals: type[EveryStep | AsKilled] = EveryStep, **changes: Any) -> Path:
    folder, copies = at_every_step(signals, **changes)
    catalogue = installed()
    checkpoints = {copy: copy / "checkpoints" / "last" / "state.json" for copy in copies}
    apart = {path.exists() and path.read_bytes(): copy for copy, path in checkpoints.items()}
    for copy in apart.values():  # where a kill leaves the same checkpoint as another, the later one
        begin.resume(RunFolder(copy), catalogue, None, None)
        assert outcome(copy) == outcome(folder), f"from checkpoint {copy.name}"
    return folder


def resumed() -> list[Path]:
    """The copies that have gone on to the end."""
    return [copy for copy in Path("copies").iterdir() if status(copy)["state"] == "finished"]


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if not key.startswith("seconds")}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind but the time that it took."""
    last = folder / "checkpoints" / "last"
    return {
        "best": (folder / "checkpoints" / "best" / "model.safetensors").read_bytes(),
        "last": (last / "model.safetensors").read_bytes(),
        "tensors": (last / "state.safetensors").read_bytes(),
        "state": without_seconds(read(last / "state.json")),
        "metrics": [without_seconds(each) for each in epochs(folder)],
        "results": without_seconds(read(folder / "results.json")),
    }


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def epochs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def progress(folder: Path) -> dict[str, Any]:
    return read(folder / "checkpoints" / "last" / "state.json")["progress"]


def status(folder: Path) -> dict[str, Any]:
    return read(folder / "status.json")


def log(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def weights(folder: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / which / "model.safetensors")


def step_with(sample: int, **changes: Any) -> tuple[int, list[int]]:
    """Which step of the first epoch, from 1, learns from a sample, and all that step's samples."""
    job = assemble(check_spec(tiny_spec(**changes), installed()), torch.device("cpu"))
    for step, batches in enumerate(job.feed.loaders["train"].shuffled(0, 1, accumulate=job.spec.train.accumulate), 1):
        samples = [int(each) for batch in batches for each in batch.ids]
        if sample in samples:
            return step, samples
    raise AssertionError


SPOILT = {"dataset": {"name": "prices", "spoilt": [7, 8]}, "loss": "mse", "optimizer": {"name": "tiny-sgd", "lr": 0.01}}
EACH_STEP = {"epochs": 2, "batch_size": 8, "checkpoint_minutes": 1e-9}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(accumulate, attempt):
    changes = SPOILT | {"train": EACH_STEP | {"accumulate": accumulate}}
    step, samples = min(step_with(sample, **changes) for sample in (7, 8))
    result, folder = attempt(**changes)
    assert result.exit_code == 5
    assert f"Error: training diverged at step {step}: the loss is inf, the gradient's norm " in result.output
    culprits = ", ".join(str(each) for each in samples if each in (7, 8))
    assert f"Training samples whose own loss is not finite: {culprits}.\n" in result.output
    assert "Largest gradient: 0.weight, of norm " in result.output
    assert "Try a lower optimizer.lr" in result.output
    assert status(folder) | {"state": "diverged", "epoch": 0, "step": step - 1} == status(folder)
    assert status(folder)["reason"] in result.output


def test_the_parameter_with_the_largest_gradient_is_one_that_learns(attempt):
    result, _ = attempt(**SPOILT, train={"phases": [{"epochs": 1, "freeze": "features"}], "batch_size": 8})
    assert result.exit_code == 5
    assert "Largest gradient: 6.weight, of norm " in result.output


def test_the_weights_on_disk_stay_finite(attempt):
    result, folder = attempt(**SPOILT, train=EACH_STEP | {"batch_size": 4})
    assert result.exit_code == 5
    assert status(folder)["step"] > 0
    assert progress(folder)["step"] == status(folder)["step"]
    assert all(tensor.isfinite().all() for tensor in weights(folder).values())


def test_a_diverged_run_diverges_at_the_same_step_when_resumed(attempt, ftrun):
    result, folder = attempt(**SPOILT, train=EACH_STEP | {"batch_size": 4})
    again = ftrun("resume", folder)
    assert again.exit_code == 5
    assert again.output.partition("Error: ")[2] == result.output.partition("Error: ")[2]


def test_a_gradient_that_is_not_finite_is_seen_where_the_loss_is(attempt):
    """The slope of a square root is infinite at zero."""
    changes = SPOILT | {"loss": "no-slope", "train": EACH_STEP}
    step, samples = min(step_with(7, **changes), step_with(8, **changes))
    result, folder = attempt(**changes)
    assert result.exit_code == 5
    assert f"training diverged at step {step}: the loss is 0." in result.output
    assert "the gradient's norm nan" in result.output
    assert f"Training samples of the step: {', '.join(map(str, samples))}.\n" in result.output
    assert status(folder)["state"] == "diverged"


def test_samples_are_listed_up_to_twenty(attempt):
    result, _ = attempt(**SPOILT | {"dataset": {"name": "prices", "spoilt": list(range(40))}}, train={"batch_size": 30})
    assert " and 10 more.\n" in result.output


@pytest.mark.parametrize("loss", ["mse", "no-slope"])
def test_a_skipped_step_changes_nothing(loss):
    train = {"epochs": 2, "batch_size": 8, "on_nonfinite": "skip", "average": "ema"}
    folder, copies = at_every_step(**SPOILT | {"loss": loss}, train=train)
    skipped = read(folder / "results.json")["skipped_steps"]
    first = sorted({step_with(sample, **SPOILT, train=train)[0] for sample in (7, 8)})
    assert skipped[: len(first)] == first
    assert 5 < skipped[-1] <= 10, "the second epoch has the same samples"
    assert progress(folder)["skipped"] == skipped
    assert status(folder) | {"state": "finished", "step": 10} == status(folder)
    by_step = {status(copy)["step"]: copy for copy in copies}
    for step in (each for each in skipped if each > 1):
        before, after = (by_step[each] / "checkpoints" / "last" for each in (step - 1, step))
        for name in ("model.safetensors", "state.safetensors"):
            assert (before / name).read_bytes() == (after / name).read_bytes()
        assert f"step {step}: skipped, its loss or gradient is not finite" in log(folder)
    assert all(math.isfinite(each["train/loss"]) for each in epochs(folder))


def test_a_run_that_skips_resumes_equal(attempt):
    train = {"epochs": 2, "batch_size": 8, "on_nonfinite": "skip"}
    resumed_at_every_step_is_equal(**SPOILT, train=train)


def test_a_run_of_skipped_steps_alone_is_diverged(attempt):
    everything = {"name": "prices", "spoilt": list(range(40))}
    result, folder = attempt(**SPOILT | {"dataset": everything}, train={"epochs": 2, "on_nonfinite": "skip"})
    assert result.exit_code == 5
    assert "every step of epoch 1 was skipped" in result.output
    assert status(folder)["state"] == "diverged"


def steep(lr: float) -> dict[str, Any]:
    """Least squares on fixed features, with an output that is not to leave [-20, 20]."""
    return {
        "dataset": "prices",
        "loss": "narrow",
        "backbone": {"name": "tiny", "norm": False},
        "optimizer": {"name": "tiny-sgd", "lr": lr, "momentum": 0.0},
        "train": {
            "phases": [{"epochs": 3, "freeze": "features"}],
            "batch_size": 2,
            "on_nonfinite": "back",
        },
    }


def test_going_back_halves_the_learning_rate(attempt):
    result, folder = attempt(**steep(2.0))
    assert result.exit_code == 0, result.output
    scale = progress(folder)["rate_scale"]
    assert 0.125 <= scale <= 0.25, "one of them is where its steps no longer grow"
    assert progress(folder)["went_back"] == -math.log2(scale)
    assert [each["lr"] for each in epochs(folder)] == [2.0 * scale] * 3
    assert "back to step 0, at 0.5 of the learning rate" in log(folder)
    assert f"at {scale:g} of the learning rate" in log(folder)


def test_a_run_that_went_back_resumes_equal():
    """A kill leaves the checkpoint that was gone back to, which knows the learning rate that it was left with."""
    changes = steep(2.0)
    changes["train"] |= {"phases": [{"epochs": 1, "freeze": "features"}]}
    folder = resumed_at_every_step_is_equal(AsKilled, **changes)
    assert progress(folder)["went_back"] >= 2


def test_going_back_is_tried_three_times(attempt, ftrun):
    result, folder = attempt(**steep(1e6))
    assert result.exit_code == 5
    assert "Error: training diverged again at step" in result.output
    assert "after going back 3 times, each time to half the learning rate" in result.output
    assert log(folder).count("back to step") == 3
    assert status(folder)["state"] == "diverged"
    assert all(tensor.isfinite().all() for tensor in weights(folder).values())
    again = ftrun("resume", folder)
    assert again.exit_code == 5
    assert log(folder).count("back to step") == 3, "what a run may do is not more after a break"


def greedy(fits: int, **changes: Any) -> dict[str, Any]:
    """A spec whose net takes at most so many samples at once; without batch normalisation, if not asked for."""
    return {"backbone": {"name": "greedy", "fits": fits, "norm": False}, "train": {"epochs": 2}, **changes}


TOO_LITTLE = "out of memory: from now on batches go through the net"


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_is_out_of_memory_goes_on_with_smaller_parts(accumulate, attempt):
    train = {"epochs": 2, "batch_size": 16, "accumulate": accumulate}
    result, tight = attempt(**greedy(5, train=train))
    assert result.exit_code == 0, result.output
    assert log(tight).count(TOO_LITTLE) == result.output.count(TOO_LITTLE) == 1
    assert f"{TOO_LITTLE} 4 samples at a time; each step still learns from as many as before" in log(tight)
    assert progress(tight)["micro_batch"] == 4
    _, ample = attempt(**greedy(1000, train=train))
    assert TOO_LITTLE not in log(ample)
    assert progress(ample)["micro_batch"] is None
    one, other = weights(tight), weights(ample)
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    for this, that in zip(epochs(tight), epochs(ample), strict=True):
        assert this["step"] == that["step"]
        assert this["val/loss"] == pytest.approx(that["val/loss"], abs=1e-5)


def test_evaluating_and_predicting_where_less_memory_is_give_the_same_figures(attempt, ftrun):
    result, folder = attempt(**greedy(1000))
    assert result.exit_code == 0, result.output
    resolved = json.loads((folder / "resolved.json").read_text())
    resolved["spec"]["backbone"]["fits"] = 3
    (folder / "resolved.json").write_text(json.dumps(resolved))
    result = ftrun("evaluate", folder, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("out of memory: from now on the net sees") == 1
    results = json.loads((folder / "results.json").read_text())
    for split in ("val", "test"):
        assert json.loads(result.stdout)[split] == pytest.approx(results[split], abs=1e-6)
    image = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    assert len(ftrun_package.load(folder).predict(image)) == 5


def test_embeddings_where_memory_is_short(attempt, monkeypatch):
    """The frozen backbone runs on fewer samples at a time, and so do later batches."""
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")  # those that another test has computed would need no memory
    train = {"epochs": 1, "batch_size": 16, "phases": [{"epochs": 1, "freeze": "features"}]}
    result, folder = attempt(**greedy(5, train=train))
    assert result.exit_code == 0, result.output
    fitting = progress(folder)["micro_batch"]
    assert fitting in (3, 4)  # half of the last batch, or a quarter of another: of the one that is tried first
    assert f"out of memory: from now on the net sees {fitting} samples at a time" in log(folder)


def test_what_fits_is_remembered():
    train = {"epochs": 2, "batch_size": 16, "average": "ema"}
    backbone = {"name": "greedy", "fits": 5, "dropout": 0.3}
    folder = resumed_at_every_step_is_equal(backbone=backbone, train=train)
    assert progress(folder)["micro_batch"] == 4
    for copy in resumed():
        assert log(copy).count(TOO_LITTLE) == 1


def test_a_single_sample_that_does_not_fit_fails_the_run(attempt):
    result, folder = attempt(**greedy(0))
    assert result.exit_code == 1
    assert result.output.count("memory") == 1
    assert "Error: out of memory, even with one sample at a time. Try a smaller input.size" in result.output
    assert status(folder)["state"] == "failed"


SHORT_OF_MEMORY = """
import ctypes, resource, sys
from pathlib import Path
import torch
from ftrun.plugins.catalogue import installed
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.spec.specfile import read_spec

torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8), torch.ones(8, 3, 3, 3))
catalogue = installed()
text, data = read_spec(Path("spec.json"), [])
request = begin.Request(check_spec(data, catalogue), "spec", text, (), catalogue, Path("run"), "cpu")
ctypes.CDLL(None).mallopt(-8, 1)  # else each thread takes 64 MiB of what is limited here, now and then, and uses none
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 300 * 2**20,) * 2)
begin.run(request)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory")
def test_the_processor_may_be_short_of_memory_too():
    write_spec(
        tiny_spec(
            backbone={"name": "tiny", "width": 32}, input={"size": [136, 136]}, train={"epochs": 1, "batch_size": 54}
        )
    )
    done = warm.Process(code=SHORT_OF_MEMORY)
    out, errors = done.communicate()
    assert done.wait() == 0, errors
    assert out.count(TOO_LITTLE) == 1
    assert status(Path("run"))["state"] == "finished"


def torn(workers: int, on_corrupt: Any, **samples: list[int]) -> dict[str, Any]:
    return {
        "dataset": {"name": "torn", **samples},
        "train": {"epochs": 2, "batch_size": 8, "workers": workers, "on_corrupt": on_corrupt},
    }


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_sample_that_cannot_be_read_is_an_error(workers, split, attempt):
    result, folder = attempt(**torn(workers, "error", **{split: [9]}))
    assert result.exit_code == 4
    assert result.output.endswith("Error: image-9.png cannot be read: it is torn.\n")
    assert status(folder) | {"state": "failed", "reason": "image-9.png cannot be read: it is torn."} == status(folder)


TORN = {"train": [3, 17], "val": [9], "test": [2]}


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_cannot_be_read_may_be_skipped_and_are_listed(workers, attempt):
    result, folder = attempt(**torn(workers, 4, **TORN))
    assert result.exit_code == 0, result.output
    corrupt = read(folder / "results.json")["corrupt"]
    assert sorted((each["split"], each["sample"]) for each in corrupt) == [
        ("test", 2), ("train", 3), ("train", 17), ("val", 9),
    ]  # fmt: skip
    for number, each in enumerate(corrupt, 1):
        assert each["reason"] == f"image-{each['sample']}.png cannot be read: it is torn."
        line = f"skipped sample {each['sample']} of {each['split']}, {number} of at most 4: {each['reason']}"
        assert log(folder).count(line) == 1, "each is said once, however often it is met"


def test_what_is_skipped_does_not_depend_on_the_workers(attempt):
    (_, alone), (_, helped) = (attempt(**torn(workers, 4, **TORN)) for workers in (0, 2))
    assert outcome(alone) == outcome(helped)


def test_figures_are_of_the_samples_that_can_be_read(attempt):
    """The loss of val is the mean over the others, as if the data had never had the torn one."""
    _, folder = attempt(**torn(0, 9, val=[0, 1, 2, 4, 5]), metrics=["accuracy"])
    assert epochs(folder)[-1]["val/accuracy"] * 7 == pytest.approx(round(epochs(folder)[-1]["val/accuracy"] * 7))
    _, whole = attempt(**torn(0, 9))
    assert epochs(whole)[-1]["train/loss"] == epochs(folder)[-1]["train/loss"]
    assert epochs(whole)[-1]["val/loss"] != epochs(folder)[-1]["val/loss"]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_too_many_is_an_error_that_lists_them(workers, attempt):
    result, folder = attempt(**torn(workers, 2, **TORN))
    assert result.exit_code == 4
    message = result.output.partition("Error: ")[2].splitlines()
    assert message[0] == "3 samples cannot be read, and train.on_corrupt allows for 2:"
    assert sorted(message[1:3]) == [
        "  train 17: image-17.png cannot be read: it is torn.",
        "  train 3: image-3.png cannot be read: it is torn.",
    ]
    assert message[3] == "  val 9: image-9.png cannot be read: it is torn."
    assert status(folder)["state"] == "failed"


def test_a_run_that_skips_samples_resumes_equal():
    folder = resumed_at_every_step_is_equal(**torn(0, 4, **TORN))
    for copy in resumed():
        assert log(copy).count("skipped sample 3 of train") == 1
    assert len(read(folder / "results.json")["corrupt"]) == 4


@pytest.mark.parametrize(("split", "samples"), [("val", 12), ("train", 40)])
def test_a_split_without_a_sample_that_can_be_read_is_an_error(split, samples, attempt):
    result, _ = attempt(**torn(0, 50, **{split: list(range(samples))}))
    assert result.exit_code == 4
    assert f"no sample of {split} can be read" in result.output
