"""ArcFace against its formula, and runs whose head it brings."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import quickonnx  # noqa: F401
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_spec, write_spec
from torch.nn import functional as F

import ftrun as product
from ftrun_losses import ArcFaceLoss, CosineHead
from ftrun_losses.margins import ArcFace, Cosines

quick = settings(max_examples=settings.default.max_examples * 2 // 5)


@quick
@given(seed=st.integers(0, 999), margin=st.sampled_from([0.0, 0.3, 0.5, 1.2]), scale=st.sampled_from([10.0, 30.0]))
def test_the_loss_is_the_paper_s(seed: int, margin: float, scale: float) -> None:
    """Equation 3, by angles, in float64; from half a turn on, the straight line that goes on from there."""
    generator = torch.Generator().manual_seed(seed)
    cosines = torch.rand(9, 4, generator=generator) * 2 - 1
    labels = torch.randint(0, 4, (9,), generator=generator)
    each = []
    for row, label in zip(cosines.double().tolist(), labels.tolist(), strict=True):
        angle = math.acos(row[label])
        own = math.cos(angle + margin) if angle + margin < math.pi else row[label] - margin * math.sin(margin)
        logits = [scale * (own if k == label else cosine) for k, cosine in enumerate(row)]
        each.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[label])
    loss = ArcFace(margin, scale)
    assert float(loss(scale * cosines, labels)) == pytest.approx(sum(each) / len(each), rel=1e-4)
    torch.testing.assert_close(loss.eval()(scale * cosines, labels), F.cross_entropy(scale * cosines, labels))


@pytest.mark.parametrize("cosine", [-1.0, -0.9999, 0.0, 1.0])
def test_its_gradient_is_finite_at_every_angle(cosine: float) -> None:
    logits = torch.tensor([[30 * cosine, 0.0]], requires_grad=True)
    ArcFace(0.5, 30.0)(logits, torch.tensor([0])).backward()
    assert logits.grad.isfinite().all()


def test_the_head_gives_cosines_whatever_the_lengths_and_the_precision() -> None:
    torch.manual_seed(0)
    head = Cosines(6, 3, 30.0)
    embedding = torch.randn(5, 6)
    expected = 30 * F.cosine_similarity(embedding[:, None], head.directions[None], dim=2)
    torch.testing.assert_close(head(embedding), expected)
    torch.testing.assert_close(head(7 * embedding), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(embedding), expected)


def arcface(**changes: Any) -> dict[str, Any]:
    train = {"epochs": 2, "batch_size": 12, "precision": "fp32"}
    return tiny_spec(loss={"name": "arcface", "scale": 20.0}, metrics=["accuracy"], train=train, **changes)


def test_a_run_has_its_head_predicts_by_it_and_exports_it(site: Path, ftrun: Any) -> None:
    assert ftrun(write_spec(arcface()), "--out", "run").exit_code == 0
    run = product.open("run")
    assert run.spec["head"] == {"name": "cosine", "scale": 20.0}
    cosines = [module for module in run.net.modules() if isinstance(module, Cosines)]
    assert [module.scale for module in cosines] == [20.0]
    images = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    assert (run.net(images)["label"].abs() <= 20.001).all()
    assert run.evaluate(device="cpu")["test"] == run.results["test"]
    for name in ("onnx", "safetensors"):
        result = ftrun("export", "run", "--format", name, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["parity"]["targets"]["label"]["agreement"] == 1
    assert ftrun("resume", "run", "--epochs", "3").exit_code == 0


def test_a_head_that_gives_no_cosines_of_its_scale(site: Path, ftrun: Any) -> None:
    for changes, reason in (
        ({"head": "linear"}, "gives none"),
        ({"head": {"name": "cosine", "scale": 5.0}}, "gives those of the scale 5, not 20"),
        ({"modifiers": ["replace-head"]}, "gives none"),
    ):
        result = ftrun(write_spec(arcface(**changes)), "--out", "run")
        assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert ArcFaceLoss(name="arcface").head == CosineHead(name="cosine")


def test_it_does_not_take_mixed_classes() -> None:
    """So that an augmentation that makes them is refused before the run."""
    with pytest.raises((RuntimeError, IndexError, TypeError)):
        ArcFace(0.5, 30.0)(torch.zeros(2, 3), torch.full((2, 3), 1 / 3))
