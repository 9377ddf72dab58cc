"""`report.html`: true to results.json, one file that loads nothing, and never in a run's way."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support import install, tiny_spec, write_spec

KINDS = Path(__file__).with_name("ftrun_kinds.py").read_text()
VOID = {"meta", "link", "img", "br", "path", "use", "image"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(2)>",
    "\"quoted\" & 'single'",
    "\U0001f431 emoji",
    "שלום עולם",
    "$x^{2$ \\frac",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(3)",
    "two\nlines\x00and nothing",
    "\u202eturned",
    "long" * 100,
]


@dataclass
class Page(HTMLParser):
    """A report, taken apart: its tags with their attributes, the text of each element, the rows of its tables."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The first row whose first cell says so, less that cell."""
        return next(row[1:] for row in self.rows if row and row[0].removesuffix(" monitored") == name)


@pytest.fixture
def run(site, ftrun, monkeypatch):
    """Do a run that ends with its report."""
    install(site, "ftrun-kinds", KINDS)
    monkeypatch.setenv("FTRUN_REPORT", "1")

    def start(out: str = "run", **changes: Any) -> Page:
        result = ftrun(write_spec(tiny_spec(**changes)), "--out", out, "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert f"report: {out}/report.html" in result.output, result.output
        return page(out)

    return start


def page(run: str = "run") -> Page:
    path = Path(run, "report.html")
    assert path.stat().st_size < 3_000_000
    found = Page(path.read_text(encoding="utf-8"))
    _check_it_is_alone(found)
    return found


def _check_it_is_alone(page: Page) -> None:
    """No script, nothing loaded, nothing linked to, nothing that an id stands for twice."""
    names = {name for name, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "base", "form", "audio", "video"}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:image/", "data:,")) or not value, (tag, value)
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids
    assert "http://" not in page.html
    assert "https://" not in page.html
    (policy,) = [attributes["content"] for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def results(run: str = "run") -> dict[str, Any]:
    return json.loads(Path(run, "results.json").read_text())


def test_its_figures_are_those_of_the_run(run, ftrun):
    metrics = ["accuracy", "f1", "recall", "confusion-matrix"]
    phases = [{"epochs": 1, "freeze": "features"}, {"epochs": 2}]
    found = run(
        dataset={"name": "kinds", "classes": {"label": ["dark", "middling", "bright"]}},
        loss="cross-entropy",
        metrics=metrics,
        scheduler="cosine",
        train={"phases": phases, "batch_size": 16},
    )
    said = results()
    for name in ("loss", "accuracy", "f1_macro", "recall_macro"):
        val, test, interval = found.row(name)
        assert (val, test) == (f"{said['val'][name]:.4f}", f"{said['test'][name]:.4f}")
        if name != "loss":
            low, high = map(float, interval.split(" to "))
            assert 0 <= low <= said["test"][name] <= high <= 1
    matrix = [row for row in found.rows if row and row[0] in ("dark", "middling", "bright")][3:6]
    counts = [[0 if cell == "·" else int(cell) for cell in row[1:]] for row in matrix]
    assert counts == said["test"]["confusion_matrix"]
    text = " ".join(found.text)
    assert f"of {3}, by val/accuracy" in text
    assert "finished" in text
    assert found.row("1") == ["features", "1.0", "1.0", "own each epoch", "goes on", "as it is", "frozen"]
    assert all(found.row(name)[-1] for name in ("training", "evaluation", "preparation, and the rest"))
    widths = [float(attributes["style"][6:-1]) for _, attributes in found.tags if attributes.get("class") == "bar"]
    assert 99 < sum(widths) < 101, "parts of the whole, none counted twice"
    versions = json.loads(Path("run/resolved.json").read_text())
    assert found.row("torch") == [versions["versions"]["torch"]]
    assert found.row("optimizer") == ["tiny-sgd", "ftrun-tiny", "1.0"]
    assert found.row("train")[1][:16] == versions["data"]["train"]["inputs"][:15] + "…"
    assert '"batch_size": 16' in text, "the resolved spec"
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) >= 24
    assert all(attributes["alt"] for attributes in pictures)


def test_rates_by_class_and_calibration_are_those_of_an_independent_implementation(run):
    from torchmetrics.functional.classification import (
        multiclass_calibration_error,
        multiclass_f1_score,
        multiclass_precision,
        multiclass_recall,
    )

    names = ["dark", "grey", "pale", "bright"]
    found = run(dataset={"name": "kinds", "classes": {"label": names}}, loss="cross-entropy", metrics=["accuracy"])
    kept = load_file("run/predictions/test.safetensors")
    logits, truth = kept["outputs/label"], kept["truth/label"]
    for column, figure in ((2, multiclass_precision), (3, multiclass_recall), (4, multiclass_f1_score)):
        expected = figure(logits, truth, num_classes=4, average=None).tolist()
        shown = [found.row(name)[column].split(" ")[0] for name in names]
        said = [float(found.row(name)[1]) for name in names]
        wanted = [f"{each:.3f}" for each in expected]
        if column == 2:
            wanted = [each if count else "\u2013" for each, count in zip(wanted, said, strict=True)]
        assert shown == wanted
    error = multiclass_calibration_error(logits.softmax(1), truth, num_classes=4, n_bins=15).item()
    place = next(index for index, text in enumerate(found.text) if "calibration error" in text)
    assert found.text[place + 1] == f"{error:.4f}"


def test_names_are_shown_and_never_run(run):
    dataset = {"name": "kinds", "classes": {"<b>which</b>": HOSTILE}, "labels": {'"on" onload=x': HOSTILE[:3]}}
    train = {"epochs": 1, "batch_size": 16, "monitor": "val/loss"}
    found = run(dataset=dataset, loss="any-loss", metrics=["accuracy"], train=train)
    shown = "\n".join(found.text)
    for name in HOSTILE[:8]:
        assert name in shown
    assert "<b>which</b>" in shown
    assert "two\nlines\ufffdand nothing" in shown
    assert "\ufffdturned" in shown
    assert "long" * 11 in shown
    assert max(len(cell) for row in found.rows for cell in row) < 100, "cut where it is too long"
    assert "49" not in shown.split("{% raw %}")[0][-20:]
    assert "b" not in {tag for tag, attributes in found.tags if attributes}


KIND_SPECS: dict[str, dict[str, Any]] = {
    "labels": {"dataset": {"labels": {"has": ["a", "b", "c"]}}, "metrics": ["accuracy", "f1"]},
    "values": {"dataset": {"values": {"size": ["nothing", "height", "width"]}}, "metrics": ["mse", "r2"]},
    "several": {
        "dataset": {"classes": {"color": ["r", "g"]}, "labels": {"has": ["a", "b"]}, "values": {"size": ["height"]}},
        "metrics": ["accuracy", "mae"],
        "train": {"epochs": 1, "batch_size": 16, "monitor": "val/loss"},
    },
    "many targets": {"dataset": {"values": {f"value {number}": ["v"] for number in range(14)}}},
    "classes that are drawn": {"dataset": {"classes": {"label": [f"c{number}" for number in range(40)]}}},
    "few samples": {"dataset": {"classes": {"label": ["a", "b"]}, "samples": 3}, "metrics": ["accuracy", "f1"]},
    "no test": {"dataset": {"classes": {"label": ["a", "b"]}, "test": False}, "metrics": ["accuracy"]},
}


@pytest.mark.parametrize("changes", KIND_SPECS.values(), ids=KIND_SPECS)
def test_targets_of_every_kind(changes, run):
    dataset = {"name": "kinds", **changes["dataset"]}
    found = run(**{"train": {"epochs": 1, "batch_size": 16}, **changes, "dataset": dataset, "loss": "any-loss"})
    said, text = results(), " ".join(found.text)
    targets = {**dataset.get("classes", {}), **dataset.get("labels", {}), **dataset.get("values", {})}
    for name in list(targets)[:12]:
        assert name in text
    split = "test" if said["test"] else "val"
    assert f"{said[split]['loss']:.4f}" in found.row("loss")
    assert ("more targets are left out" in text) == (len(targets) > 12)
    assert ("There is no test split" in text) == (said["test"] is None)
    if len(targets) == 1 and "values" in dataset:
        kept = load_file("run/predictions/test.safetensors")
        errors = (kept["outputs/size"] - kept["truth/size"])[:, 1].double()
        assert found.row("height")[:2] == [f"{errors.mean():.4f}", f"{errors.abs().mean():.4f}"]
        assert found.row("nothing")[3] == "\u2013", "R2 of what does not vary"


def test_a_thousand_classes_fit(run):
    names = [f"class number {number:04} with a name" for number in range(1000)]
    found = run(dataset={"name": "kinds", "classes": {"label": names}}, loss="cross-entropy", metrics=["accuracy"])
    text = " ".join(found.text)
    assert "The most frequent confusions" in text
    assert all(name in text for name in names)
    assert len(found.html) < 2_000_000


def test_without_metrics_the_part_that_is_right_is_on_top(run):
    found = run(dataset={"name": "kinds", "classes": {"label": ["a", "b"]}}, loss="any-loss")
    kept = load_file("run/predictions/test.safetensors")
    right = (kept["outputs/label"].argmax(1) == kept["truth/label"]).float().mean().item()
    top = found.text.index("accuracy on test")
    assert f"{right:.4f}" in found.text[top : top + 8]


def test_the_command_writes_the_same_page_again(run, ftrun):
    run(dataset={"name": "kinds", "classes": {"label": ["a", "b"]}}, loss="any-loss", metrics=["accuracy", "f1"])
    written = Path("run/report.html").read_bytes()
    Path("run/report.html").unlink()
    result = ftrun("report", "run")
    assert (result.exit_code, result.output) == (0, "report: run/report.html\n")
    assert Path("run/report.html").read_bytes() == written


def test_a_report_changes_nothing_of_the_run(run, ftrun, monkeypatch):
    changes = {"dataset": {"name": "kinds", "classes": {"label": ["a", "b"]}}, "loss": "any-loss"}
    run(**changes)
    monkeypatch.setenv("FTRUN_REPORT", "0")
    assert ftrun(write_spec(tiny_spec(**changes)), "--out", "other", "--device", "cpu").exit_code == 0
    assert not Path("other/report.html").exists()
    for name in ("checkpoints/best/model.safetensors", "predictions/test.safetensors"):
        one, other = load_file(Path("run", name)), load_file(Path("other", name))
        assert all(one[key].equal(other[key]) for key in one.keys() | other.keys())
    assert {**results(), "seconds": {}} == {**results("other"), "seconds": {}}


def test_a_run_goes_on_where_its_report_fails(run, ftrun, site):
    changes = {"dataset": {"name": "kinds", "classes": {"label": ["a", "b"]}}, "scheduler": "built-once"}
    result = ftrun(write_spec(tiny_spec(**changes)), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.output.count("no report.html: ZeroDivisionError: built again.") == 1
    assert "Traceback" not in result.output
    log = Path("run/log.txt").read_text()
    assert "Traceback" in log
    assert "in build" in log
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"
    assert results()["test"]["loss"] > 0


def test_without_what_it_is_made_with(run, ftrun, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    spec = write_spec(tiny_spec())
    result = ftrun(spec, "--out", "run", "--device", "cpu")
    assert result.exit_code == 0
    assert "no report.html: the report is made with Jinja2 and matplotlib, and matplotlib is not" in result.output
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"
    result = ftrun("report", "run")
    assert result.exit_code == 1
    assert "Run: pip install matplotlib" in result.output


def test_what_is_no_run_that_can_be_told_of(run, ftrun, site):
    run()
    assert ftrun("report", "ran").exit_code == 2
    assert "ran: no such run folder. Did you mean 'run'?" in ftrun("report", "ran").output
    Path("empty").mkdir()
    assert ftrun("report", "empty").exit_code == 2

    broken = {
        "checkpoints/best": (2, "has no best checkpoint yet"),
        "metrics.jsonl": (1, "metrics.jsonl: cannot be read: No such file"),
        "results.json": (1, "results.json: cannot be read: No such file"),
    }
    for name, (code, message) in broken.items():
        shutil.copytree("run", "copy")
        place = Path("copy", name)
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        result = ftrun("report", "copy")
        assert (result.exit_code, message in result.output) == (code, True), result.output
        assert result.output.startswith("Error: copy")
        shutil.rmtree("copy")

    for name in ("metrics.jsonl", "results.json", "resolved.json", "predictions/test.safetensors"):
        shutil.copytree("run", "copy")
        Path("copy", name).write_text("{torn")
        result = ftrun("report", "copy")
        assert (result.exit_code, f"copy/{name}: is damaged" in result.output) == (1, True), result.output
        shutil.rmtree("copy")

    shutil.rmtree(site / "ftrun_tiny-1.0.dist-info")
    del sys.modules["ftrun_tiny"]
    result = ftrun("report", "run")
    assert result.exit_code == 3
    assert "comes from ftrun-tiny 1.0, which is not installed. Run: pip install ftrun-tiny" in result.output


def test_of_a_run_that_is_not_finished_there_is_what_there_is(run, ftrun):
    run(metrics=["accuracy"], train={"epochs": 3, "batch_size": 16})
    status = json.loads(Path("run/status.json").read_text())
    Path("run/status.json").write_text(json.dumps({**status, "state": "interrupted", "epoch": 2, "reason": "Ctrl-C"}))
    for name in ("results.json", "predictions/test.safetensors"):
        Path("run", name).unlink()
    assert ftrun("report", "run").exit_code == 0
    found = page()
    text = " ".join(found.text)
    assert "This run is not finished: it is interrupted after 2 of 3 epochs (Ctrl-C)." in text
    best = json.loads(Path("run/checkpoints/best/net.json").read_text())
    assert found.row("accuracy") == [f"{best['val']['accuracy']:.4f}"]
    assert not [tag for tag, _ in found.tags if tag == "img"]


def test_where_the_data_is_gone_or_another_one_the_rest_is_told(run, ftrun):
    Path("there").touch()
    dataset = {"name": "kinds", "classes": {"label": ["a", "b"]}, "gone": "there"}
    whole = run(dataset=dataset, loss="any-loss", metrics=["accuracy"])
    Path("there").unlink()
    result = ftrun("report", "run")
    assert result.exit_code == 0, result.output
    assert "samples are shown without what they look like: the data is not at hand: FileNotFoundError" in result.stderr
    found = page()
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert "The data was not at hand when this was written" in " ".join(found.text)
    assert "FileNotFoundError" not in found.html, "the page may be passed on"
    assert found.row("accuracy") == whole.row("accuracy")

    Path("there").touch()
    kept = load_file("run/predictions/test.safetensors")
    about = {"epoch": str(results()["best_epoch"])}
    save_file({**kept, "truth/label": 1 - kept["truth/label"]}, "run/predictions/test.safetensors", about)
    result = ftrun("report", "run")
    assert "the data's labels are not what they were" in result.stderr
    assert not [tag for tag, _ in page().tags if tag == "img"]


def test_a_resumed_and_extended_run_has_its_report_anew(run, ftrun):
    run(metrics=["accuracy"], train={"epochs": 1, "batch_size": 16})
    result = ftrun("resume", "run", "--epochs", "3")
    assert result.exit_code == 0, result.output
    found = page()
    assert "of 3, by val/accuracy" in " ".join(found.text)
    assert found.row("accuracy")[1] == f"{results()['test']['accuracy']:.4f}"


def test_what_of_the_data_is_recorded_tells_it_from_other_data(site, ftrun):
    recorded = {}
    for name, samples in (("one", 60), ("same", 60), ("other", 61)):
        spec = tiny_spec(dataset={"name": "tiny", "samples": samples}, train={"epochs": 1, "batch_size": 32})
        assert ftrun(write_spec(spec), "--out", name).exit_code == 0
        recorded[name] = json.loads(Path(name, "resolved.json").read_text())["data"]
    assert recorded["one"] == recorded["same"]
    assert recorded["one"]["test"] == recorded["other"]["test"]
    assert recorded["one"]["train"]["inputs"] != recorded["other"]["train"]["inputs"]
    assert recorded["one"]["train"]["targets"] != recorded["other"]["train"]["targets"]


def test_it_says_what_a_recipe_came_to(run, ftrun):
    dataset = {"name": "kinds", "classes": {"label": ["dark", "middling", "bright"]}}
    found = run(dataset=dataset, loss="cross-entropy", train={"minutes": 0.1, "precision": "fp32"}, recipe="quick")
    recipe = json.loads(Path("run/resolved.json").read_text())["recipe"]
    text = " ".join("".join(found.text).split())
    assert f"The recipe quick filled in what the spec left out: {recipe['summary']}." in text
    assert "It was planned for 0.1" in text
    assert found.row("train.phases") == [recipe["why"]["train.phases"]]
    card = Path("run/README.md").read_text()
    assert "The recipe quick chose what the spec left out, fitted to 0.1 minutes: " in card
