"""A run that is opened again: its data is the run's, wherever one stands, or it is said what has changed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from support import install, tiny_spec, write_spec

import ftrun as api
from ftrun.contracts.data import Splits, TensorSplit
from ftrun.contracts.targets import Classes, Values
from ftrun.data import fingerprint
from ftrun.runs import identity


def pictures(folder: Path, seed: int = 0) -> None:
    """Two classes of ten pictures each, of noise, one darker than the other."""
    noise = numpy.random.default_rng(seed)
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            array = noise.integers(0, 60, (8, 8, 3), dtype=numpy.uint8) + 100 * label
            Image.fromarray(array.astype(numpy.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def project(site, ftrun, monkeypatch):
    """A finished run in folder A, of pictures that its spec calls `data`; the working folder is A."""
    Path("A").mkdir()
    Path("B").mkdir()
    monkeypatch.chdir("A")
    pictures(Path("data"))
    spec = tiny_spec(
        dataset={"name": "image-folder", "path": "data"}, train={"epochs": 1, "batch_size": 8, "workers": 0}
    )
    result = ftrun(write_spec(spec), "--out", "run")
    assert result.exit_code == 0, result.output
    return Path.cwd()


def evaluated(ftrun, run: Any, *arguments: str) -> dict[str, Any]:
    result = ftrun("evaluate", run, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_relative_path_is_the_runs_wherever_one_stands(project, ftrun, monkeypatch):
    resolved = json.loads(Path("run/resolved.json").read_text())
    assert resolved["spec"]["dataset"]["path"] == "data", "as it was given"
    assert resolved["paths"] == {"dataset.path": str(project / "data")}
    here = evaluated(ftrun, "run")
    monkeypatch.chdir("../B")
    assert f"dataset.path is {project / 'data'}, as in the run\n" in ftrun("evaluate", "../A/run").stderr
    pictures(Path("data"), seed=7)
    result = ftrun("evaluate", "../A/run", "--json")
    found = json.loads(result.stdout)
    assert (found["val"], found["test"]) == (here["val"], here["test"])
    told = f"dataset.path is {project / 'data'}, as in the run; {Path('data').absolute()} is other data, and is not"
    assert told in result.stderr
    result = ftrun("resume", "../A/run", "--epochs", "2")
    assert (result.exit_code, told in result.output) == (0, True), result.output
    assert json.loads((project / "run/resolved.json").read_text())["spec"]["dataset"]["path"] == "data"


def test_a_project_that_was_moved_is_found_from_its_folder(project, ftrun, monkeypatch):
    here = evaluated(ftrun, "run")
    project.rename(project.with_name("C"))
    monkeypatch.chdir(project.with_name("C"))
    assert evaluated(ftrun, "run")["test"] == here["test"]


def test_data_that_is_gone_is_named_with_its_place_and_with_what_was_looked_for(project, ftrun, monkeypatch):
    shutil.move("data", "elsewhere")
    monkeypatch.chdir("../B")
    for command in ("evaluate", "resume --epochs 2"):
        name, *options = command.split()
        result = ftrun(name, "../A/run", *options)
        assert result.exit_code == 4, result.output
        where = f"the run had it at {project / 'data'}. There is nothing now, nor at {Path('data').absolute()}."
        assert where in result.output


CHANGES = {
    "labels": lambda: os.rename("data/cat", "x") or os.rename("data/dog", "data/cat") or os.rename("x", "data/dog"),
    "pictures": lambda: pictures(Path("data"), seed=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_content_under_the_same_names_is_refused(change, project, ftrun):
    change()
    for command in (
        ["evaluate", "run"],
        ["resume", "run", "--epochs", "2"],
        ["export", "run", "--format", "safetensors"],
    ):
        result = ftrun(*command)
        assert result.exit_code == 4, result.output
        assert "the data is not what this run began with: " in result.output
        assert "val has other inputs" in result.output
        assert f"The run read it from {project / 'data'}." in result.output
        assert "--allow-other-data" in result.output
    before = Path("run/predictions/test.safetensors").read_bytes()
    found = evaluated(ftrun, "run", "--allow-other-data")
    assert "val has other inputs" in found["changed"]
    assert Path("run/predictions/test.safetensors").read_bytes() == before
    result = ftrun("resume", "run", "--epochs", "2", "--allow-other-data")
    assert (result.exit_code, "train has other inputs" in result.output) == (0, True), result.output
    resolved = json.loads(Path("run/resolved.json").read_text())
    assert [each["until_step"] for each in resolved["other_data"]] == [2]
    assert "From step 2 on, the data is not what it was before: train has other inputs" in resolved["notes"][-1]
    assert "From step 2 on" in Path("run/README.md").read_text()
    assert "val is other data than the best epoch was chosen on: it is chosen anew" in result.output
    results = json.loads(Path("run/results.json").read_text())
    assert results["best_epoch"] == 2
    assert evaluated(ftrun, "run")["val"] == results["val"], "the run is of that data now"


LABELS = """
from pathlib import Path
from typing import Literal
import ftrun

class {split}Data(ftrun.Dataset):
    '''Data that labels.txt and level.txt say something of.'''
    name: Literal["{name}"]

    def build(self):
        import torch
        labels = torch.tensor([int(each) for each in Path("labels.txt").read_text().split()])
        images = torch.full((len(labels), 1, 8, 8), int(Path("level.txt").read_text()), dtype=torch.uint8)
        split = ftrun.TensorSplit(images, {{"label": labels}})
        split = {wrap}
        return ftrun.Splits(train=split, val=split, test=split, targets={{"label": ftrun.Classes(names=("a", "b"))}})

class Bare:
    def __init__(self, split):
        self.split, self.columns = split, split.columns
    def __len__(self):
        return len(self.split)
    def __getitem__(self, index):
        return self.split[index]

@ftrun.hookimpl
def ftrun_datasets():
    return [{split}Data]
"""


@pytest.mark.parametrize("wrap", ["split", "Bare(split)"], ids=["in memory", "without a fingerprint"])
def test_data_of_a_plugin_with_or_without_a_fingerprint(wrap, site, ftrun):
    install(site, "ftrun-labelled", LABELS.format(split="Any", name="labelled", wrap=wrap))
    Path("labels.txt").write_text("0 1 " * 8)
    Path("level.txt").write_text("100")
    assert ftrun(write_spec(tiny_spec(dataset="labelled")), "--out", "run").exit_code == 0
    assert ftrun("evaluate", "run").exit_code == 0
    Path("labels.txt").write_text("1 0 " * 8)
    result = ftrun("evaluate", "run")
    assert (result.exit_code, "val has other targets; test has other targets" in result.output) == (4, True)
    Path("labels.txt").write_text("0 1 " * 8)
    Path("level.txt").write_text("101")
    result = ftrun("resume", "run", "--epochs", "3")
    assert (result.exit_code, "train has other inputs" in result.output) == (4, True)


class Items:
    """A split of these inputs, of which nothing but a sample can be told."""

    def __init__(self, inputs: list[Any]) -> None:
        self.inputs = inputs
        self.columns = {"label": torch.zeros(len(inputs), dtype=torch.int64)}

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Any:
        raw = self.inputs[index]
        return (raw() if callable(raw) else raw), {"label": self.columns["label"][index]}


def test_a_sample_tells_inputs_of_every_kind_apart_or_says_that_it_cannot():
    for one, other in (
        ("a text", "a test"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (numpy.zeros(3), numpy.ones(3)),
        ({"a": [1, "x"]}, {"a": [1, "y"]}),
        (Image.new("L", (2, 2)), Image.new("L", (2, 2), 1)),
    ):
        digests = [fingerprint.of_sample(Items([each] * 40)) for each in (one, one, other)]
        assert digests[0] == digests[1] != digests[2]
        assert None not in digests
    assert fingerprint.of_sample(Items([object()])) is None
    assert fingerprint.of_sample(Items([lambda: torch.rand(3)])) is None, "drawn anew each time"
    assert fingerprint.of_sample(Items([lambda: 1 / 0])) is None


def test_a_mean_that_differs_in_its_last_digit_is_no_other_data():
    """What is learnt from the training values is the run's own: sums come out otherwise with other threads."""
    values = torch.rand(40, 1)
    splits = Splits(
        train=TensorSplit(torch.zeros(40, 1, 2, 2, dtype=torch.uint8), {"y": values}), targets={"y": Values()}
    )
    recorded = Values(mean=(0.5,), std=(0.25,))
    resolved = {
        "targets": {"y": recorded.model_dump(mode="json")},
        "samples": {"train": 40},
        "data": identity.fingerprints(splits),
    }
    found, changed = identity.check(resolved, splits, "")
    assert (found.targets, changed) == ({"y": recorded}, [])
    other = splits.with_targets({"y": Classes(names=("y",))})
    with pytest.raises(api.DataError, match="its targets were"):
        identity.check(resolved, other, "", allowed=True)


# ~


def test_a_tilde_is_the_home_folder_in_every_path(site, ftrun, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    pictures(home / "pictures")
    parts = "import ftrun\n@ftrun.hookimpl\ndef ftrun_losses():\n    return []\n"
    (home / "own_parts.py").write_text(parts)
    spec = tiny_spec(
        parts="~/own_parts.py",
        dataset={"name": "image-folder", "path": "~/pictures"},
        train={"epochs": 1, "batch_size": 8, "workers": 0},
    )
    result = ftrun(write_spec(spec), "--out=~/run")
    assert result.exit_code == 0, result.output
    assert (home / "run/results.json").is_file()
    assert ftrun("evaluate", "~/run").exit_code == 0
    assert ftrun("predict", "~/run", "~/pictures/cat/0.png", "--csv=~/told.csv").exit_code == 0
    assert (home / "told.csv").is_file()
    assert api.load("~/run").predict(home / "pictures/cat/0.png")
    assert not Path("~").exists()


def test_a_tilde_without_a_home_folder_is_one_message(site, ftrun, monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    spec = write_spec(tiny_spec())
    result = ftrun(spec, "--out", "~/run")
    assert (result.exit_code, "there is no home folder that ~ could stand for" in result.output) == (2, True)
    monkeypatch.delenv("FTRUN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    result = ftrun("cache")
    assert (result.exit_code, "Set FTRUN_CACHE" in result.output) == (2, True)
    assert ftrun(spec, "--out", "run").exit_code == 0, "nothing is kept, and the run goes its way"
    assert ftrun(spec, "--out", "~x").exit_code == 0, "a name like any other where no user has it"
    assert Path("~x/results.json").is_file()
