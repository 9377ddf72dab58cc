"""A loss may have parameters, buffers and randomness: evaluated again or resumed, a run gives the same figures."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import install, tiny_spec
from test_resume import at_every_step, go_on, outcome, start

from ftrun.contracts.objective import StepInfo
from ftrun.inference.evaluation import evaluate_run
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.assemble import assemble
from ftrun.train.guard import Guard
from ftrun_devkit.resume_check import ASPECTS, _outcome

STATEFUL = (Path(__file__).parent / "distributions" / "ftrun_stateful.py").read_text()
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "counts": {"counts": True, "noise": 0.5},
    "all": {"lazy": True, "noise": 0.3, "heedless": True, "replaced": True, "counts": True, "tied": True},
}


@pytest.fixture
def stateful(site) -> Catalogue:
    install(site, "ftrun-stateful", STATEFUL)
    return installed()


def spec_with(loss: dict[str, Any], **train: Any) -> dict[str, Any]:
    """Of 2 epochs of 3 steps, of which the last one's loss is not the smallest of val."""
    return tiny_spec(
        dataset={"name": "tiny", "samples": 20, "val": True},
        loss={"name": "stateful", **loss},
        metrics=["accuracy"],
        train={"epochs": 2, "batch_size": 8, "precision": "fp32", **train},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_loss_keeps_is_in_each_checkpoint(kind, stateful):
    """Evaluated again, val and test are those of the run; resumed at any step, it is the same run to the bit."""
    folder, copies = at_every_step(spec_with(KINDS[kind]), Path.cwd(), stateful)
    expected = outcome(folder)
    again = evaluate_run(RunFolder(folder), None, None, "cpu")
    results = json.loads((folder / "results.json").read_text())
    assert {split: again[split] for split in ("val", "test")} == {split: results[split] for split in ("val", "test")}
    for copy in (copies[0], copies[4]):  # after the first step of each epoch
        assert outcome(go_on(copy, stateful)) == expected


def test_evaluation_teaches_a_loss_nothing(stateful):
    """A centre that moves in training alone: three steps of one epoch, whatever val has."""
    folder = start(spec_with({"counts": True}, epochs=1), Path("run"), stateful)
    state = load_file(folder / "checkpoints" / "last" / "net.safetensors")
    assert int(state["objective.losses.0.steps"]) == 3


def test_no_tensor_is_in_json(stateful):
    """20,000 numbers of proxies are in net.safetensors, for best and last."""
    folder = start(spec_with({"proxies": 5000}), Path("run"), stateful)
    for checkpoint in ("best", "last"):
        place = folder / "checkpoints" / checkpoint
        assert load_file(place / "net.safetensors")["objective.losses.0.proxies"].shape == (5000, 4)
        assert all(path.stat().st_size < 20_000 for path in place.glob("*.json"))


def test_learnt_weights_of_targets_are_tensors_too(site):
    spec = spec_with({}) | {"loss": "tiny-loss"}
    spec["train"] |= {"loss_weights": "uncertainty"}
    folder = start(spec, Path("run"), installed())
    assert list(load_file(folder / "checkpoints" / "best" / "net.safetensors")) == ["objective.log_variances"]


def test_a_loss_without_state_needs_no_file(site):
    folder = start(tiny_spec(), Path("run"), installed())
    assert not list(folder.rglob("net.safetensors"))


def test_a_step_that_is_skipped_leaves_the_loss_alone(stateful):
    """A centre that was NaN once would stay so."""
    spec = spec_with({"counts": True}, epochs=1, on_nonfinite="skip")
    job = assemble(check_spec(spec, stateful), torch.device("cpu"))
    guard, before = (
        Guard(job.spec, job.learner, job.engine.device),
        {name: value.clone() for name, value in job.learner.objective.named_buffers()},
    )
    guard.before_step()
    outputs, labels = torch.full((4, 3), float("nan")), torch.zeros(4, dtype=torch.int64)
    loss = job.learner.objective.terms({"label": outputs}, {"label": labels}).loss
    assert guard.step({"loss": loss.detach()}, [], StepInfo(0), []) is None
    assert all(torch.equal(job.learner.objective.get_buffer(name), value) for name, value in before.items())


def test_verify_resume_looks_at_the_loss(stateful):
    """Runs whose nets agree, and whose losses do not."""
    runs = [start(spec_with({"proxies": count}, epochs=1), Path(f"run-{count}"), stateful) for count in (1, 2)]
    one, two = map(_outcome, runs)
    assert [aspect for aspect in ASPECTS if one[aspect] != two[aspect]] == ["optimizer", "objective", "history"]


def test_buffers_come_back_as_they_were():
    module = torch.nn.Module()
    module.register_buffer("written", torch.zeros(2))
    module.register_buffer("replaced", torch.zeros(2))
    module.register_buffer("made", None)
    before = {name: id(buffer) for name, buffer in module.named_buffers()}
    kept = KeptBuffers(module)
    assert not kept.replaced
    module.written += 1
    assert not kept.replaced
    module.replaced, module.made = module.replaced + 1, torch.ones(1)
    module.register_buffer("late", torch.ones(1))
    assert kept.replaced
    kept.restore()
    assert module.made is None
    assert not hasattr(module, "late")
    assert {name: id(buffer) for name, buffer in module.named_buffers()} == before
    assert not any(buffer.any() for buffer in module.buffers())
