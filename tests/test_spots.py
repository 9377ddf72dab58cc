"""A kind of target from a plugin, whose values are no tensors known in advance: through everything that a run is."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import install, tiny_spec, write_spec

import ftrun as api
from ftrun_devkit import run_command

CODE = (Path(__file__).parent / "distributions" / "ftrun_spots.py").read_text()


@pytest.fixture
def spots(site: Path) -> Path:
    """The plugin, installed."""
    install(site, "ftrun-spots", CODE)
    return site


def spec(**changes: Any) -> Path:
    """A spec that learns spots."""
    train = {"epochs": 2, "batch_size": 8}
    parts = {"dataset": "spots", "loss": "spot-loss", "metrics": ["spot-error"], "train": train}
    return write_spec(tiny_spec(**{**parts, **changes}))


def test_a_run_of_another_kind_of_target(spots, ftrun, tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTRUN_REPORT", "1")
    result = ftrun(spec(dataset={"name": "spots", "gap": True}))
    assert result.exit_code == 0, result.output
    run = api.open("runs/spec-1")

    # What it records, and reads again
    assert type(run.targets["spots"]).__name__ == "Spots"
    listed = [each for each in run.resolved["plugins"] if each["role"] == "target"]
    assert listed == [
        {"part": "targets.spots", "role": "target", "name": "spots", "distribution": "ftrun-spots", "version": "1.0"}
    ]
    results = json.loads(Path("runs/spec-1/results.json").read_text())
    figures = {name: results["test"][f"spot_error/{name}"] for name in ("samples", "spots")}
    assert figures == {"samples": 10, "spots": 11}, "integers stay what they are; two samples have no value"
    assert results["test"]["loss"] > 0
    assert json.loads(ftrun("evaluate", "runs/spec-1", "--json").stdout)["test"] == results["test"]
    kept = run.predictions()
    assert (list(kept.outputs["spots"]), len(kept)) == (["sum"], 12)
    assert kept.truth["spots"].lengths.tolist() == [(index % 3 if index % 5 < 4 else 1) for index in range(12)]
    assert run.evaluated_samples() == {"spots": 10}

    # Resuming: the same epochs as in one go
    assert ftrun("resume", "runs/spec-1", "--epochs", "3").exit_code == 0
    train = {"epochs": 3, "batch_size": 8}
    assert ftrun(spec(dataset={"name": "spots", "gap": True}, train=train)).exit_code == 0
    lines = [Path(f"runs/spec-{number}/metrics.jsonl").read_text().splitlines() for number in (1, 2)]
    one, other = ([json.loads(each) for each in of_run] for of_run in lines)
    values = [[{key: each[key] for key in each if "seconds" not in key} for each in run] for run in (one, other)]
    assert values[0] == values[1]

    # What it shows
    page = Path("runs/spec-1/report.html").read_text()
    assert "<p>spots of spots 0: 0 at " in page
    card = Path("runs/spec-1/README.md").read_text()
    assert "spots: spots of an image" in card.replace("\\", "")
    assert "It counts no spot that is darker than the noise." in card
    compared = run_command("compare", "runs/spec-1", "runs/spec-2", "--json")
    assert compared.exit_code == 0, compared.output
    (comparison,) = json.loads(compared.stdout)["comparisons"]
    assert comparison["reason"] == "nothing compares single samples of 'spots'"


def test_what_is_predicted_and_exported(spots, ftrun):
    assert ftrun(spec(train={"epochs": 1, "batch_size": 8})).exit_code == 0
    from PIL import Image

    Image.new("L", (8, 8), 3).save("dark.png")
    (predicted,) = json.loads(ftrun("predict", "runs/spec-1", "dark.png", "--json").stdout)
    assert predicted["file"] == "dark.png"
    assert list(predicted["spots"][0]) == ["sum"]
    (made,) = api.load("runs/spec-1").predict("dark.png")
    assert made.value == predicted["spots"]
    assert json.dumps(made.value) in ftrun("predict", "runs/spec-1", "dark.png").stdout
    assert ftrun("predict", "runs/spec-1", "dark.png", "--csv", "made.csv").exit_code == 0
    assert Path("made.csv").read_text().splitlines()[0] == "file,prediction"
    assert ftrun("predict", "runs/spec-1", "dark.png", "--csv", "made.csv", "--force").exit_code == 0
    exported = ftrun("export", "runs/spec-1", "--format", "torch-export")
    assert exported.exit_code == 0, exported.output
    assert "gives spots [batch]" in exported.output


def test_a_value_that_is_none_of_its_kind_is_met_as_it_is_read(spots, ftrun):
    result = ftrun(spec(dataset={"name": "spots", "most": 40}))
    assert result.exit_code == 4
    assert "target 'spots': sample" in result.output
    assert "but 40 is the most." in result.output
    skipping = {"epochs": 1, "batch_size": 8, "on_corrupt": 60}
    result = ftrun(spec(dataset={"name": "spots", "most": 40}, train=skipping))
    assert result.exit_code == 0, result.output
    assert "skipped sample" in result.output


def test_a_run_whose_kind_is_gone_says_what_to_install(spots, ftrun):
    assert ftrun(spec(train={"epochs": 1, "batch_size": 8})).exit_code == 0
    for each in (*spots.glob("ftrun_spots*"),):
        if each.is_dir():
            for file in each.iterdir():
                file.unlink()
            each.rmdir()
        else:
            each.unlink()
    for command in (["evaluate"], ["predict", "x.png"], ["report"]):
        result = ftrun(command[0], "runs/spec-1", *command[1:])
        assert result.exit_code == 3, result.output
        assert "ftrun-spots 1.0, which is not installed. Run: pip install ftrun-spots" in result.output


def test_a_kind_that_no_hook_offers(spots, ftrun):
    code = CODE.replace("return [Spots]", "return []")
    (spots / "ftrun_spots.py").write_text(code)
    result = ftrun(spec())
    assert result.exit_code == 3
    assert "target 'spots' is of the kind 'spots', a Spots, which no plugin offers" in result.output
    assert not Path("runs").exists()


BARE = """
from typing import Literal
import torch, ftrun
class Bare(ftrun.Dataset):
    'Images of which nothing is known.'
    name: Literal["bare"]
    def build(self):
        return ftrun.Splits(train=ftrun.TensorSplit(torch.zeros(40, 1, 8, 8, dtype=torch.uint8)))
@ftrun.hookimpl
def ftrun_datasets(): return [Bare]
"""


def test_a_loss_needs_targets(site, ftrun):
    Path("bare.py").write_text(BARE)
    result = ftrun(write_spec(tiny_spec(dataset="bare", parts="bare.py")))
    assert result.exit_code == 2
    assert "Error: loss: the dataset has no targets, so there is nothing to compare outputs with." in result.output
