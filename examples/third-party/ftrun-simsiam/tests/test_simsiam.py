"""The loss against its formula, neighbours' votes, and runs with and without classes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ftrun_simsiam import SimSiam
from torch.nn import functional as F

import ftrun
from ftrun_devkit import run_command, tiny_spec
from ftrun_devkit.tiny import TinyNet

OPTIONS: dict[str, Any] = {"name": "simsiam", "width": 8, "hidden": 4, "memory": 16, "neighbours": 3}
PARTS = Path(__file__).parent / "parts" / "unlabelled.py"  # what the command line reads, too
AUGMENT = ["horizontal-flip", {"name": "random-crop", "padding": 2}]


def net_for(**targets: ftrun.Target) -> ftrun.Net:
    torch.manual_seed(0)
    net = TinyNet(name="tiny-net").build({})
    net.set_targets(targets)
    return net


def batch_for(net: ftrun.Net, labels: list[int] | None) -> ftrun.Batch:
    torch.manual_seed(1)
    one = net.prepare(net.input.collate(net.input.example(4)))
    two = one + 0.1 * torch.randn_like(one)
    targets = {} if labels is None else {"label": torch.tensor(labels)}
    return ftrun.Batch(one, targets, torch.arange(4), extra={"views": (two,)})


AT = ftrun.StepInfo(seed=0, training=True)
LABEL = ftrun.Classes(names=("a", "b"))


def test_the_loss_is_the_papers() -> None:
    net = net_for()
    objective = SimSiam(**OPTIONS).build(net, None)
    batch = batch_for(net, None)
    z = [objective.projector(net.embed(view)) for view in batch.views]
    p = [objective.predictor(each) for each in z]

    def distance(p: Any, z: Any) -> Any:  # Algorithm 1
        return -(F.normalize(p, dim=1) * F.normalize(z.detach(), dim=1)).sum(dim=1).mean()

    terms = objective(net, batch, AT)
    torch.testing.assert_close(terms.loss, distance(p[0], z[1]) / 2 + distance(p[1], z[0]) / 2)
    assert set(terms.parts) == {"spread"}
    assert not terms.outputs


def test_classes_teach_the_backbone_nothing_and_the_head_what_they_are() -> None:
    gradients = []
    for labels in ([0, 1, 1, 0], [1, 0, -1, 1]):
        net = net_for(label=LABEL)
        objective = SimSiam(**OPTIONS).build(net, None)
        torch.manual_seed(2)
        objective(net, batch_for(net, labels), AT).loss.backward()
        head = {id(each) for each in net.head.parameters()}
        gradients.append([each.grad for each in net.parameters() if id(each) not in head])
        assert all(each.grad.any() for each in net.head.parameters())
    assert any(each.any() for each in gradients[0])
    assert all(torch.equal(*each) for each in zip(*gradients, strict=True))


def test_neighbours_vote_by_how_near_they_are() -> None:
    objective = SimSiam(**OPTIONS).build(net_for(label=LABEL), None)
    places = F.normalize(torch.randn(6, objective.seen.shape[1], generator=torch.Generator().manual_seed(0)), dim=1)
    objective.remember(places, [torch.tensor([0, 0, 1, 1, -1, 0])])
    alike, expected = (places[:1] @ places.T)[0], torch.zeros(2)
    alike[4] = -torch.inf  # it has no class
    for each in alike.topk(3).indices.tolist():
        expected[[0, 0, 1, 1, -1, 0][each]] += (alike[each] / 0.07).exp()
    torch.testing.assert_close(objective.votes(places[:1], 0, 2)[0], expected, rtol=1e-4, atol=1e-4)
    objective.remember(places[:4].repeat(4, 1), [torch.ones(16, dtype=torch.int64)])
    assert objective.votes(places, 0, 2).argmax(1).tolist() == [1] * 6  # the others are forgotten


@pytest.fixture
def spec() -> dict[str, Any]:
    return tiny_spec(parts=str(PARTS), loss=None, objective=OPTIONS, augment=AUGMENT)


def test_images_without_classes_are_learned_from_and_have_no_file(tmp_path: Path, spec: dict[str, Any]) -> None:
    run = ftrun.run({**spec, "dataset": "unlabelled"}, out=tmp_path / "run", device="cpu", quiet=True)
    assert {"train/loss", "train/spread", "val/loss", "val/spread"} <= set(run.history[0])
    assert "val/knn" not in run.history[0]
    exported = run_command("export", run.folder, "--format", "onnx")
    assert exported.exit_code == 1
    assert "predicts nothing: its data has no targets." in exported.output
    with pytest.raises(ftrun.FtrunError, match=r"predicts nothing: its data has no targets\."):
        run.predictor("cpu")
    tuned = ftrun.run(tiny_spec(parts=spec["parts"]), out=tmp_path / "tuned", init_from=run, device="cpu", quiet=True)
    assert tuned.finished


def test_classes_show_what_is_learned(tmp_path: Path, spec: dict[str, Any]) -> None:
    run = ftrun.run({**spec, "metrics": ["accuracy"]}, out=tmp_path / "run", device="cpu", quiet=True)
    assert {"val/knn", "val/probe", "val/spread", "val/accuracy"} <= set(run.history[0])
    again = run.evaluate(split="val")["val"]
    assert again["knn"] == run.results["val"]["knn"]


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path, spec: dict[str, Any]) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    result = run_command("verify-resume", tmp_path / "spec.json", "--device", "cpu", "--kills", "1")
    assert result.exit_code == 0, result.output
