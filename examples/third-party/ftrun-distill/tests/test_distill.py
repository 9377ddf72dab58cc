"""The distance from a teacher against its formula, and runs with a teacher."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ftrun_distill import Distill
from safetensors.torch import load_file
from teaching import teacher
from torch.nn import functional as F

import ftrun
from ftrun_devkit import run_command, tiny_run, tiny_spec


class Losses(ftrun.ObjectiveModule):
    """Cross-entropy."""

    def forward(self, net: ftrun.Net, batch: ftrun.Batch, at: ftrun.StepInfo) -> ftrun.Terms:
        outputs = net(batch.inputs)
        return ftrun.Terms(F.cross_entropy(outputs["label"], batch.targets["label"]), outputs)


def student(folder: Path, *, names: tuple[str, ...] | None = None) -> ftrun.Net:
    """Return a net as the teacher's, with another head."""
    net = ftrun.open(folder).net
    target = net.targets["label"]
    torch.manual_seed(1)
    net.set_targets({"label": ftrun.Classes(names=names or target.names)})
    return net


def batch_for(net: ftrun.Net) -> ftrun.Batch:
    inputs = net.prepare(net.input.collate(net.input.example(4)))
    return ftrun.Batch(inputs, {"label": torch.tensor([0, 1, 1, 0])}, torch.arange(4))


@pytest.mark.parametrize("turned", [False, True])
def test_the_loss_is_the_papers(tmp_path: Path, turned: bool) -> None:
    """Also where the net has the teacher's classes in another order."""
    folder = teacher(tmp_path)
    taught = ftrun.open(folder).net
    names = taught.targets["label"].names
    net = student(folder, names=names[::-1] if turned else names)
    objective = Distill(name="distill", teacher=folder, weight=0.3, temperature=2.0).build(net, Losses())
    batch = batch_for(net)
    terms = objective(net, batch, ftrun.StepInfo(seed=0))
    logits, wanted = net(batch.inputs)["label"], taught(batch.inputs)["label"]
    p, q = ((wanted.flip(1) if turned else wanted) / 2).softmax(1), (logits / 2).softmax(1)
    apart = (p * (p / q).log()).sum(1).mean()
    expected = 0.7 * F.cross_entropy(logits, batch.targets["label"]) + 0.3 * 4 * apart
    torch.testing.assert_close(terms.loss, expected)
    torch.testing.assert_close(terms.parts["apart"], apart)
    assert apart > 0


def test_a_teacher_of_other_classes_or_inputs_is_refused(tmp_path: Path) -> None:
    folder = teacher(tmp_path)
    part = Distill(name="distill", teacher=folder)
    with pytest.raises(ftrun.SpecError, match="has other classes of it: they differ in 'new'"):
        part.build(student(folder, names=(*ftrun.open(folder).net.targets["label"].names, "new")), Losses())
    net = student(folder)
    net.set_input(net.input.changed(size=24))
    with pytest.raises(ftrun.SpecError, match=r"takes its inputs prepared in another way: {'size'"):
        part.build(net, Losses())


def run(place: Path, folder: Path, **changes: Any) -> Any:
    place.mkdir()
    return tiny_run(place, objective={"name": "distill", "teacher": str(folder)}, **changes)


def test_the_teacher_is_neither_trained_nor_saved_again(tmp_path: Path) -> None:
    folder = teacher(tmp_path)
    before = load_file(folder / "checkpoints" / "best" / "model.safetensors")
    ended = run(tmp_path / "student", folder)
    after = load_file(folder / "checkpoints" / "best" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    state = ended.folder / "checkpoints" / "last" / "net.safetensors"
    assert not state.exists() or not any("teacher." in name for name in load_file(state))
    assert {"train/apart", "train/supervised", "val/apart", "val/supervised"} <= set(ended.metrics[0])


def test_labels_that_are_missing_leave_the_teacher(tmp_path: Path) -> None:
    folder = teacher(tmp_path)
    net = student(folder)
    objective = Distill(name="distill", teacher=folder, weight=1.0).build(net, Losses())
    objective(net, batch_for(net), ftrun.StepInfo(seed=0)).loss.backward()
    assert all(each.grad is None for each in objective.teacher.parameters())
    assert any(each.grad is not None and each.grad.any() for each in net.head.parameters())


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    objective = {"name": "distill", "teacher": str(teacher(tmp_path))}
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(tiny_spec(parts="tiny_parts.py", objective=objective)))
    result = run_command("verify-resume", spec, "--device", "cpu", "--kills", "1")
    assert result.exit_code == 0, result.output
