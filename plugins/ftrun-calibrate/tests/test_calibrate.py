"""A run is calibrated: what predicts, evaluates, exports and compares goes by it, and results.json says so."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import quickonnx  # noqa: F401
import torch
from support import install, tiny_spec, write_spec

import ftrun as product

UNSURE = Path(__file__).with_name("ftrun_unsure.py").read_text()
METRICS = ["accuracy", "f1", "expected-calibration-error", "auroc", "confusion-matrix"]


def unsure(**changes: Any) -> dict[str, Any]:
    return tiny_spec(
        dataset="unsure",
        loss={"kind": "cross-entropy", "tags": "bce"},
        optimizer={"name": "sgd", "lr": 0.5},
        metrics=METRICS,
        evaluation={"flips": True},
        train={"epochs": 2, "batch_size": 16, "precision": "fp32", "monitor": "val/loss"},
        **changes,
    )


@pytest.fixture
def run(site: Path, ftrun: Any) -> Path:
    install(site, "ftrun-unsure", UNSURE)
    assert ftrun(write_spec(unsure()), "--out", "run").exit_code == 0
    return Path("run")


def results_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def calibrated(ftrun: Any, *arguments: str) -> dict[str, Any]:
    result = ftrun("calibrate", "run", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_run_goes_by_what_was_fitted(run: Path, ftrun: Any) -> None:
    before, weights = results_of(run), (run / "checkpoints/best/model.safetensors").read_bytes()
    made = calibrated(ftrun)
    after = results_of(run)
    record = after["calibration"]
    for name in ("kind", "tags"):
        assert record["targets"][name]["temperature"] != 1
        assert record["targets"][name]["log_loss"]["after"] < record["targets"][name]["log_loss"]["before"]
    assert record["targets"]["tags"]["notes"] == ["1 labels that no val sample has keep 0.5: r"]
    assert record["targets"]["tags"]["thresholds"]["r"] == 0.5

    # The metrics: what is another number now is in `before` as it was, and nothing else has changed.
    assert {"kind/expected_calibration_error", "tags/expected_calibration_error"} <= record["before"]["test"].keys()
    for split in ("val", "test"):
        changed = {key for key in before[split] if before[split][key] != after[split][key]}
        assert changed == record["before"][split].keys()
        assert {key: before[split][key] for key in changed} == record["before"][split]
    assert not {"kind/accuracy", "kind/confusion_matrix", "loss"} & record["before"]["test"].keys()
    assert after["val"]["tags/f1_macro"] >= before["val"]["tags/f1_macro"]
    assert made["after"]["test"] == {key: after["test"][key] for key in record["before"]["test"]}

    # Evaluated again it has them; twice is as once, and off is as it was.
    again = product.open(run).evaluate(device="cpu")
    assert {split: again[split] for split in ("val", "test")} == {split: after[split] for split in ("val", "test")}
    calibrated(ftrun)
    assert results_of(run) == after
    assert (run / "checkpoints/best/model.safetensors").read_bytes() == weights
    product.open(run).check_weights()
    calibrated(ftrun, "--off")
    assert results_of(run) == before
    assert product.open(run).targets == product.open(run).learned_targets


def test_predictions_and_exports_agree(run: Path, ftrun: Any) -> None:
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = product.load(run).predict(list(images))
    calibrated(ftrun)
    targets = product.open(run).targets
    kind, tags = targets["kind"], targets["tags"]
    assert tags.thresholds
    predicted = product.load(run).predict(list(images), top=3)
    for one, other in zip(plain, predicted, strict=True):
        assert one["kind"].name == other["kind"].name
        assert one["kind"].score != other["kind"].score
        least = dict(zip(tags.names, tags.thresholds, strict=True))
        held = [name for name in tags.names if other["tags"].scores[name] > least[name]]
        assert (list(other["tags"].holds), one["tags"].holds) == (held, None)
    for name in ("onnx", "torch-export", "safetensors"):
        result = ftrun("export", "run", "--format", name, "--json")
        assert result.exit_code == 0, result.output  # or the file says something else than the run
        report = json.loads(result.stdout)
        assert report["targets"]["kind"]["temperature"] == kind.temperature
        assert report["parity"]["targets"]["tags"]["agreement"] == 1


def test_commands_show_which_labels_hold(run: Path, ftrun: Any) -> None:
    from PIL import Image

    Image.new("L", (8, 8), 20).save("dark.png")
    calibrated(ftrun)
    (answer,) = json.loads(ftrun("predict", "run", "dark.png", "--json").stdout)
    scores, thresholds = answer["tags"], results_of(run)["calibration"]["targets"]["tags"]["thresholds"]
    assert answer["tags/holds"] == [name for name in "pqr" if scores[name] > thresholds[name]]
    assert ftrun("predict", "run", "dark.png", "--csv", "out.csv").exit_code == 0
    header, row = (line.split(",") for line in Path("out.csv").read_text().splitlines())
    assert header[-1] == "tags/holds"
    assert row[-1] == "; ".join(answer["tags/holds"])
    assert ("holds" in ftrun("predict", "run", "dark.png").stdout) == bool(answer["tags/holds"])


def test_reports_and_comparisons_go_by_it(run: Path, ftrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTRUN_REPORT", "1")
    shutil.copytree(run, "plain")
    assert "have not been calibrated" in Path("run/README.md").read_text()
    made = calibrated(ftrun)
    page, card = (Path("run", name).read_text() for name in ("report.html", "README.md"))
    assert "were calibrated on val, by a temperature" in card
    assert "calibrated on val, by a temperature" in page
    assert "above its own threshold" in page
    compared = json.loads(ftrun("compare", "plain", "run", "--json").stdout)
    text = json.dumps(compared)
    f1 = made["after"]["test"].get("tags/f1_macro", results_of(run)["test"]["tags/f1_macro"])
    assert str(round(f1, 6))[:6] in text


def test_a_run_that_goes_on_is_no_longer_calibrated(run: Path, ftrun: Any) -> None:
    shutil.copytree(run, "plain")
    calibrated(ftrun)
    for folder in ("run", "plain"):
        assert ftrun("resume", folder, "--epochs", "3").exit_code == 0
    mine, plain = (results_of(Path(each)) for each in ("run", "plain"))
    assert {key: mine[key] for key in ("val", "test", "best_epoch")} == {
        key: plain[key] for key in ("val", "test", "best_epoch")
    }
    assert "calibration" not in mine
    assert product.open("run").targets == product.open("plain").targets
    # Weights of a calibrated run are as good a start as others, its heads too.
    calibrated(ftrun)
    assert ftrun(write_spec(unsure()), "--init-from", "run", "--out", "next").exit_code == 0
    assert "newly initialised" not in Path("next/log.txt").read_text()


def test_what_cannot_be_calibrated(site: Path, ftrun: Any) -> None:
    install(site, "ftrun-unsure", UNSURE)
    spec = unsure() | {"dataset": {"name": "unsure", "sure": True, "test": False}}
    assert ftrun(write_spec(spec), "--out", "run").exit_code == 0
    both = ftrun("calibrate", "run", "--off", "--only", "temperature")
    assert (both.exit_code, "leave --only out" in both.output) == (2, True)
    status = json.loads(Path("run/status.json").read_text())
    Path("run/status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    result = ftrun("calibrate", "run")
    assert (result.exit_code, "only a finished run can be calibrated" in result.output) == (2, True)
    Path("run/status.json").write_text(json.dumps(status))
    made = calibrated(ftrun, "--only", "temperature")
    assert "thresholds" not in made["targets"]["tags"]
    with pytest.raises(ValueError, match="more than their calibrated_fields"):
        product.open("run").calibrate({"kind": product.Classes(names=("a",))}, {})
