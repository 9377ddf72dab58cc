"""`ftrun evaluate`: what a run said of itself, to the last digit; and what it makes of other data."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support import TINY, install, tiny_spec, write_spec

from ftrun.contracts.data import Splits, TensorSplit
from ftrun.contracts.errors import DataError
from ftrun.contracts.targets import Classes, Labels, Values
from ftrun.inference.aligned import align

METRICS = ["accuracy", "f1", "confusion-matrix"]
SPECS = {
    "plain": {},
    "bf16": {"train": {"epochs": 2, "batch_size": 7, "precision": "bf16"}},
    "ema": {"train": {"epochs": 3, "batch_size": 16, "average": "ema"}},
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


def test_classes_that_the_run_does_not_know_are_counted_and_not_judged(run, ftrun):
    """Of the 12 test samples three are of each of four classes, one of which the run does not know."""
    run()
    result = ftrun("evaluate", "run", "--json", "--dataset", '{"name": "tiny", "classes": 4}')
    assert result.exit_code == 0, result.output
    told = "target 'label': 18 of 72 samples have classes that the run does not know, and these are not judged"
    assert f"{told}: class 3 18" in result.stderr
    matrix = json.loads(result.stdout)["test"]["confusion_matrix"]
    assert sum(map(sum, matrix)) == 9


def test_data_of_which_the_run_knows_nothing_is_wrong_data(run, ftrun, site):
    run()
    strange = TINY.replace('Literal["tiny', 'Literal["strange').replace('"recorder"', '"strange-recorder"')
    install(site, "ftrun-strange", strange.replace("class {index}", "x{index}"))
    result = ftrun("evaluate", "run", "--dataset", "strange")
    assert result.exit_code == 4
    assert "target 'label': the run does not know 'x0', 'x1', 'x2'." in result.output
    assert "in the data: 'x0', 'x1', 'x2'" in result.output
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


# Data that does not come in splits


def pictures(folder: Path, *classes: str, count: int = 6) -> Path:
    """So many pictures of each class, each of one grey: what matters is how many there are."""
    for level, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (100 * level + number,) * 3).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def of_pictures(run):
    """A run on class folders, `cat` and `dog`, cut into train, val and test."""
    pictures(Path("own"), "cat", "dog", count=10)
    return run(dataset={"name": "image-folder", "path": "own", "split": {"val": 0.2, "test": 0.2}})


def counts_of(found: dict[str, Any]) -> dict[str, int]:
    """Samples by split, all of which are in its confusion matrix."""
    for name, samples in found["samples"].items():
        assert sum(map(sum, found[name]["confusion_matrix"])) == samples
    return found["samples"]


def test_every_sample_of_class_folders_counts_once(of_pictures, ftrun):
    other = pictures(Path("other"), "cat", "dog")
    assert counts_of(judged(ftrun, str(other))) == {"all": 12}
    assert counts_of(judged(ftrun, "--dataset", json.dumps({"name": "image-folder", "path": "other"}))) == {"all": 12}
    result = ftrun("evaluate", "run", "other")
    assert "all: loss " in result.stdout
    assert "(12 samples)" in result.stdout
    one = pictures(Path("one"), "dog", count=1)
    assert counts_of(judged(ftrun, str(one))) == {"all": 1}, "too few to cut anything off, and of one class"
    assert ftrun("evaluate", "run", "other", "--split", "test").exit_code == 4
    export = ["export", "run", "--format", "safetensors", "--dataset"]
    assert ftrun(*export, json.dumps({"name": "image-folder", "path": "other"})).exit_code == 0


def test_folders_of_splits_keep_them_and_need_no_train(of_pictures, ftrun):
    pictures(Path("held/test"), "cat", "dog")
    pictures(Path("held/val"), "dog")
    assert counts_of(judged(ftrun, "held")) == {"val": 6, "test": 12}
    pictures(Path("held/train"), "cat")
    assert counts_of(judged(ftrun, "held")) == {"val": 6, "test": 12}


def test_the_runs_own_data_is_named_as_such_and_unknown_folders_are_counted(of_pictures, ftrun):
    result = ftrun("evaluate", "run", "own", "--json")
    assert "this is the data that the run was trained on" in result.stderr
    assert counts_of(json.loads(result.stdout)) == {"all": 20}
    pictures(Path("more"), "bird", "cat")
    result = ftrun("evaluate", "run", "more", "--json")
    assert result.exit_code == 0, result.output
    assert "6 of 12 samples have classes that the run does not know, and these are not judged: bird 6" in result.stderr
    found = json.loads(result.stdout)
    assert found["samples"] == {"all": 12}
    assert sum(map(sum, found["all"]["confusion_matrix"])) == 6


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [
        (("0", "1"), ("0.0", "1.0", "2.0"), [0, 1, -1]),
        (("0", "1"), ("FALSE", "True", "yes"), [0, 1, -1]),
        (("False", "True"), ("0", "TRUE", "false"), [-1, 1, -1]),  # 0 and false are one name there, but two here
        (("1", "1.0"), ("1.0", "x", "1.00"), [1, -1, -1]),
    ],
)
def test_a_name_that_is_spelled_otherwise_is_the_same(ours, theirs, wanted):
    split = TensorSplit(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), {"label": torch.arange(3)})
    splits = Splits(train=None, all=split, targets={"label": Classes(names=theirs)})
    aligned = align(splits, {"label": Classes(names=ours)})
    assert aligned.all.columns["label"].tolist() == wanted
    assert any("are taken for those of the run" in note for note in aligned.notes) == (wanted != [1, -1, -1])


def test_a_path_and_a_dataset_are_one_too_many(run, ftrun):
    run()
    assert ftrun("evaluate", "run", "x", "--dataset", "tiny").exit_code == 2
    result = ftrun("evaluate", "run", "x")
    assert (result.exit_code, "the dataset 'tiny' has no option 'path'" in result.output) == (2, True)


def rows(name: str, count: int, part: bool = False) -> Path:
    """A table of texts of two kinds; part: whether a column says that all are of test."""
    header, cell = ("part,", "test,") if part else ("", "")
    lines = [f"{header}text,kind", *(f"{cell}good n{number},{'ab'[number % 2]}" for number in range(count))]
    Path(name).write_text("\n".join(lines) + "\n")
    return Path(name)


def test_every_row_of_a_table_counts_once(run, ftrun):
    own = {"name": "csv", "path": str(rows("own.csv", 40)), "text": "text", "target": "kind"}
    run(dataset=own, backbone={"name": "lstm", "width": 4, "embedding": 4, "min_count": 1})
    rows("other.csv", 7)
    assert counts_of(judged(ftrun, "other.csv")) == {"all": 7}
    assert counts_of(judged(ftrun, "--dataset", json.dumps({**own, "path": "other.csv"}))) == {"all": 7}
    rows("named.csv", 5, part=True)
    named = {**own, "path": "named.csv", "split": "part"}
    assert counts_of(judged(ftrun, "--dataset", json.dumps(named))) == {"test": 5}, "no row is of train"
    assert counts_of(judged(ftrun, "named.csv")) == {"all": 5}
    without_train = {"name": "csv", "test": "other.csv", "text": "text", "target": "kind"}
    assert counts_of(judged(ftrun, "--dataset", json.dumps(without_train))) == {"test": 7}
    result = ftrun(write_spec(tiny_spec(dataset=without_train, backbone="lstm"), "no-train.json"))
    assert (result.exit_code, "has no train, so there is nothing to learn from" in result.output) == (2, True)


def splits_of(target: Any, values: Any) -> Splits:
    values = torch.tensor(values)
    return Splits(train=TensorSplit(torch.arange(len(values)), {"t": values}), targets={"t": target})


def test_targets_of_every_kind_are_aligned_by_name():
    classes = align(splits_of(Classes(names=("b", "a")), [0, 1, 1]), {"t": Classes(names=("a", "b", "c"))})
    assert classes.train.columns["t"].tolist() == [1, 0, 0]
    labels = align(splits_of(Labels(names=("b", "a")), [[1.0, 0.0]]), {"t": Labels(names=("a", "b"))})
    assert labels.train.columns["t"].tolist() == [[0.0, 1.0]]
    inputs, targets = labels.train.__getitems__([0])
    assert (inputs.tolist(), targets["t"].tolist()) == ([0], [[0.0, 1.0]])
    with pytest.raises(DataError, match="the data does not have 'v'"):
        align(splits_of(Values(names=("u",)), [[1.0]]), {"t": Values(names=("u", "v"))})
    with pytest.raises(DataError, match="is values in the run, and classes in the data"):
        align(splits_of(Classes(names=("a", "b")), [0]), {"t": Values()})
    with pytest.raises(DataError, match="the run predicts 'label', which the data does not have"):
        align(splits_of(Classes(names=("a", "b")), [0]), {"label": Values()})
