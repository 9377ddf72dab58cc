"""`ftrun evaluate`: what a run said of itself, to the last digit; and what it makes of other data."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import TINY, install, tiny_spec, write_spec

from ftrun.data import Splits, TensorSplit
from ftrun.errors import DataError
from ftrun.run.aligned import align
from ftrun.targets import Classes, Labels, Values

METRICS = ["accuracy", "f1", "confusion-matrix"]
SPECS = {
    "plain": {},
    "bf16": {"train": {"epochs": 2, "batch_size": 7, "precision": "bf16"}},
    "ema": {"train": {"epochs": 3, "batch_size": 16, "ema": 0.9}},
    "workers": {
        "dataset": {"name": "tiny", "workers": True, "val": True},
        "train": {"epochs": 2, "batch_size": 5, "workers": 2},
    },
    "modifiers": {
        "backbone": {"name": "timm", "model": "test_resnet", "pretrained": False},
        "input": {"size": 32},
        "modifiers": [{"name": "add-layers", "sizes": [16]}, "fc-to-conv"],
        "train": {"epochs": 1, "batch_size": 16, "memory_format": "channels_last"},
    },
    "frozen": {
        "train": {
            "phases": [{"epochs": 1, "freeze": "features"}, {"epochs": 1}],
            "batch_size": 16,
            "memory_format": "contiguous",
        }
    },
    "weighted": {"loss": {"name": "cross-entropy", "class_weights": "auto"}},
    "no test": {"dataset": {"name": "tiny", "test": False}},
}


@pytest.fixture
def run(site, ftrun):
    def start(**changes: Any) -> Path:
        result = ftrun(write_spec(tiny_spec(**{"metrics": METRICS, **changes})), "--out", "run", "--device", "cpu")
        assert result.exit_code == 0, result.output
        return Path("run")

    return start


def judged(ftrun, *arguments: str) -> dict[str, Any]:
    result = ftrun("evaluate", "run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def results() -> dict[str, Any]:
    return json.loads(Path("run/results.json").read_text())


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_the_figures_are_those_of_the_run_to_the_last_digit(changes, run, ftrun):
    run(**changes)
    found, expected = judged(ftrun), results()
    assert found["val"] == expected["val"]
    assert found.get("test") == expected["test"]
    assert found["epoch"] == expected["best_epoch"]
    assert found["samples"] == {name: count for name, count in expected["samples"].items() if name != "train"}


def test_one_split_alone_and_for_people(run, ftrun):
    run()
    assert {"train", "val", "test"} & set(judged(ftrun, "--split", "train")) == {"train"}
    result = ftrun("evaluate", "run", "--split", "test")
    loss, accuracy = (results()["test"][name] for name in ("loss", "accuracy"))
    assert f"test: loss {loss:.4f}  accuracy {accuracy:.4f}" in result.stdout
    assert "(12 samples)" in result.stdout


def test_other_data_is_matched_by_the_names_of_classes(run, ftrun, site):
    """The run's own test split, its classes in another order, and one of them not there at all."""
    run(loss={"name": "cross-entropy", "class_weights": "auto"})
    turned = TINY.replace('Literal["tiny', 'Literal["turned').replace('"recorder"', '"turned-recorder"')
    reorder = "names = names[::-1]; labels_of = lambda labels: len(names) - 1 - labels"
    turned = turned.replace("splits = {}", f"splits = {{}}; {reorder}")
    turned = turned.replace('_Failing(images, {"label": labels})', '_Failing(images, {"label": labels_of(labels)})')
    install(site, "ftrun-turned", turned)
    found = judged(ftrun, "--dataset", "turned")
    assert found["test"]["accuracy"] == results()["test"]["accuracy"]
    assert found["test"] == results()["test"]
    assert found["dataset"]["name"] == "turned"
    assert "val" not in found, "none is cut"
    fewer = judged(ftrun, "--dataset", '{"name": "tiny", "classes": 2}')
    assert set(fewer["test"]) == {"loss", *("accuracy", "f1_macro", "confusion_matrix")}
    assert len(fewer["test"]["confusion_matrix"]) == 3


def test_a_class_that_the_run_does_not_know_is_wrong_data(run, ftrun):
    run()
    result = ftrun("evaluate", "run", "--dataset", '{"name": "tiny", "classes": 4}')
    assert result.exit_code == 4
    assert "Error: --dataset: target 'label': the run does not know 'class 3'." in result.output
    assert "in the data: 'class 0', 'class 1', 'class 2', 'class 3'" in result.output
    assert "in the run:  'class 0', 'class 1', 'class 2'" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--dataset", "tny"], 2, "dataset: no dataset named 'tny'. Did you mean 'tiny'?"),
        (["--dataset", '{"name": "tiny", "sample": 3}'], 2, "dataset.sample: no such option. Did you mean 'samples'?"),
        (["--dataset", '{"name": "tiny", "test": false}', "--split", "test"], 4, "--split test: the data has no such"),
        (["--device", "abacus"], 2, "--device abacus: no such device here."),
    ],
    ids=["name", "option", "split", "device"],
)
def test_what_is_asked_for_and_is_not_there(arguments, code, message, run, ftrun):
    run()
    result = ftrun("evaluate", "run", *arguments)
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_what_is_not_a_run_that_can_be_opened(run, ftrun, site):
    folder = run()
    assert ftrun("evaluate", "ran").exit_code == 2
    assert "ran: no such run folder. Did you mean 'run'?" in ftrun("evaluate", "ran").output
    Path("empty").mkdir()
    assert ftrun("evaluate", "empty").exit_code == 2

    shutil.copytree(folder, "young")
    shutil.rmtree("young/checkpoints/best")
    result = ftrun("evaluate", "young")
    assert result.exit_code == 2
    assert "young: has no best checkpoint yet: this run is finished" in result.output
    assert "ftrun resume young" in result.output

    shutil.copytree(folder, "torn")
    weights = Path("torn/checkpoints/best/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    result = ftrun("evaluate", "torn")
    assert result.exit_code == 1
    assert "torn/checkpoints/best/model.safetensors: is damaged" in result.output


def test_a_run_whose_data_has_changed_is_not_judged(run, ftrun):
    folder = run()
    resolved = json.loads((folder / "resolved.json").read_text())
    resolved["spec"]["dataset"]["samples"] = 90
    (folder / "resolved.json").write_text(json.dumps(resolved))
    result = ftrun("evaluate", "run")
    assert result.exit_code == 4
    assert "the data is not what this run began with" in result.output
    assert "--dataset" in result.output


def replace_plugin(site: Path, code: str, version: str) -> None:
    shutil.rmtree(site / "ftrun_tiny-1.0.dist-info")
    shutil.rmtree(site / "__pycache__", ignore_errors=True)
    install(site, "ftrun-tiny", code, version)
    del sys.modules["ftrun_tiny"]


def test_a_plugin_that_is_gone_or_has_become_another_one(run, ftrun, site):
    run()
    replace_plugin(site, TINY.replace("nn.Conv2d(3, self.width, 3)", "nn.Conv2d(3, self.width, 5)"), "2.0")
    result = ftrun("evaluate", "run")
    assert result.exit_code == 3
    assert "cannot be built with the plugins that are here: ftrun-tiny was 1.0, is 2.0" in result.output
    assert "Install the version that it was made with" in result.output
    shutil.rmtree(site / "ftrun_tiny-2.0.dist-info")
    result = ftrun("evaluate", "run")
    assert result.exit_code == 3
    assert "comes from ftrun-tiny 1.0, which is not installed. Run: pip install ftrun-tiny" in result.output


def test_another_version_that_builds_the_same_is_said_and_used(run, ftrun, site):
    run()
    replace_plugin(site, TINY, "1.1")
    result = ftrun("evaluate", "run", "--json")
    assert result.exit_code == 0, result.output
    assert "not as it was: ftrun-tiny was 1.0, is 1.1" in result.stderr
    assert json.loads(result.stdout)["test"] == results()["test"]


def splits_of(target: Any, values: Any) -> Splits:
    values = torch.tensor(values)
    return Splits(train=TensorSplit(torch.arange(len(values)), {"t": values}), targets={"t": target})


def test_targets_of_every_kind_are_aligned_by_name():
    classes = align(splits_of(Classes(names=("b", "a")), [0, 1, 1]), {"t": Classes(names=("a", "b", "c"))})
    assert classes.train.targets["t"].tolist() == [1, 0, 0]
    labels = align(splits_of(Labels(names=("b", "a")), [[1.0, 0.0]]), {"t": Labels(names=("a", "b"))})
    assert labels.train.targets["t"].tolist() == [[0.0, 1.0]]
    inputs, targets = labels.train.__getitems__([0])
    assert (inputs.tolist(), targets["t"].tolist()) == ([0], [[0.0, 1.0]])
    with pytest.raises(DataError, match="the data does not have 'v'"):
        align(splits_of(Values(names=("u",)), [[1.0]]), {"t": Values(names=("u", "v"))})
    with pytest.raises(DataError, match="is values in the run, and classes in the data"):
        align(splits_of(Classes(names=("a", "b")), [0]), {"t": Values()})
    with pytest.raises(DataError, match="the run predicts 'label', which the data does not have"):
        align(splits_of(Classes(names=("a", "b")), [0]), {"label": Values()})
