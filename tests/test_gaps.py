"""What samples miss (class -1, NaN, in rows or in single cells) teaches and judges nothing, wherever a run is trained,
judged, shown, compared and exported; and values keep the digits that they are given."""

import json
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

import ftrun as product
from ftrun.cli import main

PARTS = Path(__file__).parent / "distributions" / "ftrun_gaps.py"
LOSSES = {"kind": "cross-entropy", "tags": "bce", "sizes": "mse"}
EVERY = tuple(LOSSES)
FAR = 1.7e9


def command(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def start(out: str, *, code: int = 0, lr: float = 0.05, metrics: Any = None, train: Any = None, **dataset: Any) -> str:
    """A run on some of the targets, in the working folder; what it says."""
    targets = dataset.setdefault("targets", EVERY)
    loss = {name: LOSSES[name] for name in targets} if len(targets) > 1 else LOSSES[targets[0]]
    known = {"kind": ["accuracy", "f1"], "tags": ["accuracy", "f1"], "sizes": ["mae", "mse", "r2"]}
    spec = {
        "parts": str(PARTS),
        "dataset": {"name": "gaps", **dataset},
        "backbone": "gaps-net",
        "input": {"size": 2, "mean": [0.5], "std": [0.25]},
        "loss": loss,
        "optimizer": {"name": "sgd", "lr": lr},
        "metrics": metrics or list(dict.fromkeys(metric for name in targets for metric in known[name])),
        "train": {"epochs": 2, "batch_size": 30, "precision": "fp32", "memory_format": "contiguous", **(train or {})},
    }
    Path(f"{out}.json").write_text(json.dumps(spec))
    return command("run", f"{out}.json", "--out", out, "--device", "cpu", code=code).output


def results(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out, "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two runs each on a class, with rows missing, and on all targets, with cells missing; the working folder."""
    before, place = os.getcwd(), tmp_path_factory.mktemp("runs")
    os.chdir(place)
    try:
        start("kind", targets=("kind",), gap="rows")
        start("kind2", targets=("kind",), gap="rows", lr=0.01)
        start("every", gap="cells", offset=FAR)
        start("every2", gap="cells", offset=FAR, lr=0.01)
        yield place
    finally:
        os.chdir(before)


@pytest.fixture
def here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(runs)
    return runs


@pytest.mark.parametrize("name", ["kind", "every"])
def test_report_and_card_of_what_is_known(here: Path, name: str) -> None:
    assert "no report" not in Path(name, "log.txt").read_text()
    page = command("report", name).output
    assert "not at hand" not in page
    text = Path(name, "report.html").read_text()
    assert "data:image/png" in text
    assert "on 51 samples of test" in text  # 9 of 60 are missing
    assert "9 of 60 test samples" in text
    card = Path(name, "README.md").read_text()
    assert "9 of 60 test samples" in card
    if name == "kind":
        assert "Accuracy was measured on 51 samples" in card
    for metric in ("accuracy", "f1_macro") if name == "kind" else ("kind/accuracy", "tags/accuracy", "sizes/r2"):
        row = text[text.index(f"<bdi>{metric}</bdi>") :].partition("</tr>")[0]
        low, _, high = row.rpartition('<td class="n">')[2].partition("</td>")[0].partition(" to ")
        assert float(low) < results(name)["test"][metric] < float(high)


@pytest.mark.parametrize("name", ["kind", "every"])
def test_compare_has_the_metrics_of_the_run(here: Path, name: str) -> None:
    found = json.loads(command("compare", name, f"{name}2", "--json").stdout)
    (comparison,) = found["comparisons"]
    assert comparison["paired"]
    one, other = (results(each)["test"] for each in (name, f"{name}2"))
    shared = set(comparison["metrics"]) & set(one)
    assert len(shared) == (2 if name == "kind" else 6)
    for metric in shared:
        entry = comparison["metrics"][metric]
        assert (entry["first"], entry["second"]) == pytest.approx((one[metric], other[metric]), rel=1e-5)
        assert entry["interval"][0] < entry["interval"][1]
    if name == "kind":
        assert comparison["samples"] == 51


def test_judged_again_it_is_the_same(here: Path) -> None:
    found = json.loads(command("evaluate", "every", "--json").stdout)
    assert found["test"] == results("every")["test"]


def test_predictions_hold_what_the_dataset_says_to_the_last_digit(here: Path) -> None:
    tensors = load_file("every/predictions/test.safetensors")
    truth, outputs = tensors["truth/sizes"], tensors["outputs/sizes"]
    assert truth.dtype == outputs.dtype == torch.float64
    known = ~truth.isnan()
    assert (~known).sum(0).tolist() == [12, 20]
    spread = truth[:, 0][known[:, 0]] - FAR
    assert 0 <= spread.min() < spread.max() <= 10
    assert spread.unique().numel() == len(spread)
    errors = (outputs - truth)[known]
    test = results("every")["test"]
    assert test["sizes/mae"] == pytest.approx(float(errors.abs().mean()), rel=1e-6)
    assert test["sizes/mse"] == pytest.approx(float(errors.square().mean()), rel=1e-6)
    assert 0 < test["sizes/mae"] < 10
    predicted = product.load("every").predict(torch.full((1, 2, 2), 128, dtype=torch.uint8))[0]["sizes"]
    assert 0 < predicted.scores["up"] - FAR < 10
    assert predicted.scores["up"] != round(predicted.scores["up"])


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_a_target_is_judged_by_the_others(tmp_path: Path, monkeypatch: Any, split: str) -> None:
    monkeypatch.chdir(tmp_path)
    output = start("run", targets=("kind", "sizes"), gap=split, of="sizes")
    assert f"target 'sizes' is not judged on {split}: none of its samples has it" in output
    found = results("run")
    assert found[split]["sizes/mae"] is None
    assert found[split]["sizes/loss"] is None
    assert found[split]["kind/accuracy"] > 0
    assert "no report" not in output
    assert json.loads(command("compare", "run", "run", "--json").stdout)["comparisons"][0]["paired"]


def test_nothing_known_is_one_message(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no sample of the test split has target 'kind'" in start("a", targets=("kind",), gap="test", code=4)
    monitored = {"monitor": "val/sizes/mae"}
    output = start("b", targets=("kind", "sizes"), gap="val", of="sizes", train=monitored, code=4)
    assert "no sample of the val split has target 'sizes', but val/sizes/mae is to decide" in output


def test_numbers_that_a_type_cannot_tell_apart_are_told(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    output = start("run", targets=("sizes",), gap="none", offset=FAR, single=True)
    assert "'up' is as large as 1700000000, where float32 has steps of 2e+02" in output
    assert "float64" in Path("run/README.md").read_text()


def test_a_run_takes_the_mean_that_it_recorded(here: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree("every", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    for path in [Path("run/resolved.json"), *Path("run/checkpoints").glob("*/net.json")]:
        text = path.read_text()
        record = json.loads(text)
        mean = record["targets"]["sizes"]["mean"]
        assert str(mean[0]) in text
        path.write_text(text.replace(str(mean[0]), str(mean[0] * (1 + 1e-15)), 1))
    for manifest in Path("run/checkpoints").glob("*/manifest.json"):
        _digest_anew(manifest)
    command("evaluate", "run", "--json")
    command("resume", "run", "--epochs", "3", "--device", "cpu")


def _digest_anew(manifest: Path) -> None:
    content = json.loads(manifest.read_text())
    content["sha256"]["net.json"] = sha256((manifest.parent / "net.json").read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "export",
    [
        pytest.param([], id="plain"),
        pytest.param(["--raw"], id="raw", marks=pytest.mark.slow),
        pytest.param(["--int8", "--max-drop", "0.9", "--bound", "1e-3"], id="int8"),
    ],
)
def test_exported_files_say_what_the_run_says(here: Path, export: list[str], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    command("export", "every", "--format", "onnx", "--out", tmp_path / "net.onnx", *export)
    report = json.loads((tmp_path / "net.onnx.report.json").read_text())
    assert report["parity"]["targets"]["sizes"]["max_difference"] < 1e-4
    if "--int8" in export:
        assert report["int8"]["targets"]["kind"]["before"] == pytest.approx(
            results("every")["val"]["kind/accuracy"], abs=1e-6
        )
