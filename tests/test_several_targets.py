"""One net that predicts several things of a sample: classes, values and labels, some of which it was not told."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import install, tiny_spec, write_spec
from torch import nn

import ftrun as product
from ftrun.contracts.targets import Classes, Labels, Values
from ftrun.train.objective import load_state, state_of
from ftrun.train.supervised import Supervised

LOSSES = {"color": "cross-entropy", "price": "mse", "tags": "bce"}
SEVERAL = Path(__file__).parent / "distributions" / "ftrun_several.py"
TRAIN = {"epochs": 8, "batch_size": 16, "memory_format": "contiguous"}


@pytest.fixture
def run(site, ftrun):
    install(site, "ftrun-several", SEVERAL.read_text())

    def start(*, code: int = 0, lr: float = 0.3, **changes: Any) -> Any:
        changes = {"dataset": "several", "loss": LOSSES, "metrics": ["accuracy", "f1", "r2", "mae"], **changes}
        spec = tiny_spec(optimizer={"name": "tiny-sgd", "lr": lr}, **{"train": TRAIN, **changes})
        result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
        assert result.exit_code == code, result.output
        return json.loads(Path("run/results.json").read_text()) if code == 0 else result.output

    return start


def net_json() -> dict[str, Any]:
    return json.loads(Path("run/checkpoints/best/net.json").read_text())


def test_each_target_has_its_figures_and_all_are_learnt(run):
    test = run()["test"]
    assert set(test) == {
        *("loss", "color/loss", "color/accuracy", "color/f1_macro", "price/loss", "price/r2", "price/mae"),
        *("tags/loss", "tags/accuracy", "tags/f1_macro"),
    }
    assert test["loss"] == pytest.approx(sum(test[f"{name}/loss"] for name in LOSSES), rel=1e-6)
    assert test["color/accuracy"] > 0.9
    assert test["tags/accuracy"] > 0.85
    assert test["price/r2"] > 0.7
    assert json.loads(Path("run/resolved.json").read_text())["monitor"] == "val/loss"


def test_values_are_learnt_standardised_and_given_as_they_are(run):
    test = run(dataset={"name": "several", "targets": ["price"]}, loss="mse", metrics=["mae", "r2"], lr=0.05)["test"]
    target = net_json()["targets"]["price"]
    assert target["mean"] == [5150.0]
    assert target["std"] == [pytest.approx(111.803, abs=1e-3)]
    assert test["mae"] < 50  # of values around 5,150
    assert test["loss"] < 0.3  # of standardised ones
    image = torch.full((1, 8, 8), 150, dtype=torch.uint8)
    assert 5000 < product.load("run").predict(image)[0].score < 5350


def test_what_a_sample_misses_teaches_and_judges_nothing(run):
    results = run(dataset={"name": "several", "missing": True})
    assert results["test"]["color/accuracy"] > 0.9
    assert results["test"]["price/r2"] > 0.5
    assert results["samples"]["train"] == 96
    counts = json.loads(Path("run/resolved.json").read_text())["class_counts"]
    assert sum(counts["color"].values()) == 64
    assert net_json()["targets"]["price"]["mean"] == [pytest.approx(5150, abs=5)]


def test_weights_scale_each_targets_loss(run):
    test = run(train={**TRAIN, "loss_weights": {"price": 0.25, "color": 2}})["test"]
    expected = 2 * test["color/loss"] + 0.25 * test["price/loss"] + test["tags/loss"]
    assert test["loss"] == pytest.approx(expected, rel=1e-6)


def test_uncertainty_weights_are_learnt_kept_and_judged_with(run, ftrun):
    results = run(train={**TRAIN, "loss_weights": "uncertainty"})
    learnt = load_file("run/checkpoints/best/net.safetensors")["objective.log_variances"].tolist()
    assert all(abs(value) > 0.01 for value in learnt)
    judged = json.loads(ftrun("evaluate", "run", "--json").stdout)
    assert judged["test"] == results["test"]
    assert judged["val"] == results["val"]


@pytest.mark.parametrize("changes", [{"loss_weights": "uncertainty"}, {}], ids=["uncertainty", "plain"])
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(run, verify_resume, changes):
    spec = tiny_spec(dataset={"name": "several", "missing": True}, loss=LOSSES, train={**TRAIN, **changes})
    result = verify_resume(write_spec(spec), "--kills", "1", "--device", "cpu")
    assert result.exit_code == 0, result.output


def test_the_mean_of_several_figures_decides_which_epoch_is_best(run):
    names = ["val/color/accuracy", "val/price/r2"]
    run(train={**TRAIN, "monitor": names})
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    means = [(line[names[0]] + line[names[1]]) / 2 for line in lines]
    assert net_json()["epoch"] == 1 + means.index(max(means))
    assert json.loads(Path("run/resolved.json").read_text())["monitor"] == names


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"loss": {"colour": "cross-entropy", **LOSSES}}, ["loss.colour: ", "no target 'colour'", "'color'?"]),
        ({"loss": {"color": "cross-entropy"}}, ["loss: has none for the dataset's target 'price'"]),
        ({"loss": "cross-entropy"}, ["loss: 'cross-entropy' works on classes", '{"target": "loss", ...}']),
        ({"loss": {**LOSSES, "price": "msee"}}, ["loss.price: no loss named 'msee'. Did you mean 'mse'?"]),
        (
            {"loss": {**LOSSES, "color": {"name": "cross-entropy", "label_smothing": 0.1}}},
            ["loss.color.label_smothing: no such option. Did you mean 'label_smoothing'?"],
        ),
        ({"train": {"monitor": "val/accuracy"}}, ["train.monitor: ", "val/color/accuracy"]),
        ({"train": {"monitor": "val/color/acuracy"}}, ["train.monitor: no figure named 'val/color/acuracy'."]),
        ({"train": {"monitor": ["val/price/mae", "val/price/r2"]}}, ["train.monitor: ", "have no mean"]),
        ({"train": {"loss_weights": {"prices": 2}}}, ["train.loss_weights.prices: ", "'price'?"]),
        ({"train": {"loss_weights": {"price": 0}}}, ["train.loss_weights.price: "]),
    ],
    ids=str,
)
def test_what_does_not_fit_the_targets_is_told(run, changes, messages):
    output = run(code=2, **changes)
    for message in messages:
        assert message in output
    assert not Path("run").exists()


TARGETS = {
    "a": Classes(names=("x", "y")),
    "b": Values(names=("v",), mean=(10.0,), std=(2.0,)),
    "c": Labels(names=("p",)),
}
BUILT = {"a": nn.CrossEntropyLoss(), "b": nn.MSELoss(), "c": nn.BCEWithLogitsLoss()}


def batch(size: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    outputs = {name: torch.randn(size, target.outputs, generator=generator) for name, target in TARGETS.items()}
    truth = {
        "a": torch.arange(size) % 2,
        "b": 10 + 2 * torch.randn(size, 1, generator=generator),
        "c": (torch.arange(size) % 3 == 0).float()[:, None],
    }
    truth["a"][::4], truth["b"][1::4], truth["c"][2::4] = -1, float("nan"), float("nan")
    return outputs, truth


def test_a_batch_in_parts_has_the_loss_of_the_whole_although_samples_miss_targets():
    loss = Supervised(BUILT, TARGETS, missing=TARGETS)
    outputs, truth = batch(24)
    parts = [
        loss.terms(*({name: each[i:j] for name, each in tree.items()} for tree in (outputs, truth))).loss
        * ((j - i) / 24)
        for i, j in ((0, 1), (1, 7), (7, 24))
    ]
    assert torch.stack(parts).sum() == pytest.approx(float(loss.terms(outputs, truth).loss), rel=1e-6)
    nothing = {"a": torch.full((4,), -1), "b": torch.full((4, 1), float("nan")), "c": torch.full((4, 1), float("nan"))}
    assert float(loss.terms({name: each[:4] for name, each in outputs.items()}, nothing).loss) == 0


def test_uncertainty_is_kendalls_formula():
    outputs, truth = batch(24)
    loss = Supervised(BUILT, TARGETS, "uncertainty", missing=TARGETS)
    load_state(loss, {"log_variances": torch.tensor([0.5, -1.0, 2.0])}, torch.device("cpu"))
    a, b, c = Supervised(BUILT, TARGETS, missing=TARGETS).terms(outputs, truth).parts.values()
    sigma = torch.tensor([0.5, -1.0, 2.0]).exp().sqrt()  # of each target
    expected = a / sigma[0] ** 2 + b / (2 * sigma[1] ** 2) + c / sigma[2] ** 2 + sigma.log().sum()
    assert float(loss.terms(outputs, truth).loss.detach()) == pytest.approx(float(expected), rel=1e-6)
    assert state_of(loss)["log_variances"].tolist() == [0.5, -1.0, 2.0]
