"""`ftrun compare`: equal, slightly different and very different runs are told as that; what cannot be compared, too."""

import json
import shutil
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import tiny_spec, write_spec
from torch import Tensor

NAMES = ["ant", "bee", "cat"]


def made(
    path: str,
    outputs: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    targets: Mapping[str, Any] | None = None,
    ids: Tensor | None = None,
    split: str = "test",
    **resolved: Any,
) -> Path:
    """A run folder as a finished run leaves it, as far as a comparison looks at it."""
    folder = Path(path)
    (folder / "checkpoints/best").mkdir(parents=True)
    (folder / "predictions").mkdir()
    count = len(next(iter(truth.values())))
    samples = {"train": 100, "val": 50} | {split: count}
    spec = {"dataset": {"name": "d"}, "backbone": {"name": "b"}, "train": {"epochs": 3, "val_fraction": 0.1}, "seed": 0}
    described = {
        "spec": spec | resolved.pop("spec", {}),
        "targets": targets or {"label": {"kind": "classes", "names": NAMES}},
        "samples": samples,
        "input": {"size": [8, 8]},
        "versions": {"torch": "2.15.0"},
        "device": "cpu",
        "precision": "fp32",
        "memory_format": "contiguous",
        "norms": ["train"],
        "plugins": [],
        **resolved,
    }
    tensors = {"ids": torch.arange(count) if ids is None else ids}
    tensors |= {f"outputs/{name}": each for name, each in outputs.items()}
    tensors |= {f"truth/{name}": each for name, each in truth.items()}
    save_file(tensors, folder / f"predictions/{split}.safetensors", {"split": split, "epoch": "2"})
    save_file({"w": torch.zeros(3, 4), "n.running_mean": torch.zeros(9)}, folder / "checkpoints/best/model.safetensors")
    files = {
        "resolved.json": described,
        "status.json": {"state": "finished"},
        "results.json": {"seconds": {"total": 61.0, "train": 30.0, "eval": 5.0}, "test": {"accuracy": 0.5}},
        "checkpoints/best/net.json": {"epoch": 2, "val": {}},
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def right(truth: Tensor, wrong: Sequence[int] | Tensor) -> dict[str, Tensor]:
    """Outputs that are right but for some samples."""
    said = truth.clone()
    said[wrong] = (said[wrong] + 1) % 3
    return {"label": torch.nn.functional.one_hot(said, 3).float() * 4}


TRUTH = torch.arange(2000) % 3


def some(start: int, count: int) -> Tensor:
    """So many samples from one on, spread over all."""
    return (start + 7 * torch.arange(count)) % 2000


def compared(ftrun, *arguments: str) -> dict[str, Any]:
    result = ftrun("compare", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def verdicts(found: Mapping[str, Any], run: int = 0) -> dict[str, str]:
    return {key: each["verdict"] for key, each in found["comparisons"][run]["metrics"].items()}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_equal_slightly_and_very_different_runs(ftrun):
    """300 of 2,000 wrong, others as many, 5 fewer, 60 fewer that are the same ones, and many more."""
    wrong = {
        "a": some(0, 300),
        "equal": torch.cat([some(0, 200), some(1, 100)]),
        "slightly": torch.cat([some(0, 200), some(1, 95)]),
        "better": some(0, 240),
        "worse": some(0, 700),
    }
    for name, each in wrong.items():
        made(name, right(TRUTH, each), {"label": TRUTH})
    found = compared(ftrun, "a", "equal", "slightly", "better", "worse")
    assert found["baseline"] == "a"
    told = [comparison["metrics"]["accuracy"]["verdict"] for comparison in found["comparisons"]]
    assert told == ["cannot tell", "cannot tell", "better", "worse"]
    for comparison in found["comparisons"][:2]:
        assert "includes 0" in comparison["metrics"]["accuracy"]["reason"]
    better = found["comparisons"][2]["metrics"]["accuracy"]
    assert (better["first"], better["second"]) == (0.85, 0.88)
    assert better["only_one_right"] == [0, 60]
    low, high = better["interval"]
    assert 0.02 < low < better["difference"] < high < 0.04
    assert better["p_adjusted"] < 0.001
    assert verdicts(found, 3)["log_loss"] == "worse", "less of it would be better"
    assert found["runs"][0] | {"metrics": {}} == {
        "run": "a",
        "split": "test",
        "metrics": {},
        "parameters": 12,
        "seconds": 61.0,
        "backbone": "b",
        "dataset": "d",
        "input_size": [8, 8],
        "samples": 2000,
        "epochs": 3,
        "best_epoch": 2,
        "bytes": Path("a/checkpoints/best/model.safetensors").stat().st_size,
    }
    text = ftrun("compare", "a", "equal", "better", "worse").stdout
    assert "Cannot tell whether equal is better or worse than a in accuracy: the interval [" in text
    assert "better is better than a in accuracy: 0.8800 against 0.8500; the interval [+0." in text
    assert "worse is worse than a in accuracy: 0.6500 against 0.8500; the interval [-0." in text
    assert "McNemar, mid-p; < 0.001 by Holm; right in one run alone: 0 and 60" in text
    assert "Their specs do not differ." in text


def test_a_run_and_its_copy(ftrun):
    made("a", right(TRUTH, some(0, 300)), {"label": TRUTH})
    shutil.copytree("a", "b")
    found = compared(ftrun, "a", "b")
    assert set(verdicts(found).values()) == {"cannot tell"}
    assert found["comparisons"][0]["metrics"]["accuracy"]["reason"] == "both are the same on these samples"


def test_what_one_comparison_shows_several_may_not(ftrun):
    """24 against 10 samples: p is 0.017; as one of four such questions, it may be chance."""
    made("a", right(TRUTH, some(0, 124)), {"label": TRUTH})
    wrong = torch.cat([some(0, 100), some(1, 10)])
    for name in "bcde":
        made(name, right(TRUTH, wrong), {"label": TRUTH})
    alone = compared(ftrun, "a", "b")["comparisons"][0]["metrics"]["accuracy"]
    assert (alone["only_one_right"], alone["verdict"]) == ([10, 24], "better")
    for comparison in compared(ftrun, "a", "b", "c", "d", "e")["comparisons"]:
        one = comparison["metrics"]["accuracy"]
        assert (one["p"], one["p_adjusted"]) == (alone["p"], pytest.approx(4 * alone["p"]))
        assert one["verdict"] == "cannot tell"
        assert one["reason"].startswith("with 4 runs compared, p 0.0")


def test_classes_and_samples_are_matched_by_name_and_index_whatever_their_order(ftrun):
    made("a", right(TRUTH, some(0, 300)), {"label": TRUTH})
    turned = right(TRUTH, some(0, 300))["label"][:, [2, 0, 1]]  # cat, ant, bee
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    made(
        "b",
        {"label": turned[order].contiguous()},
        {"label": torch.tensor([1, 2, 0])[TRUTH][order]},
        targets={"label": {"kind": "classes", "names": ["cat", "ant", "bee"]}},
        ids=order,
    )
    found = compared(ftrun, "a", "b")
    assert found["runs"][0]["metrics"] == pytest.approx(found["runs"][1]["metrics"])
    assert found["comparisons"][0]["metrics"]["accuracy"]["only_one_right"] == [0, 0]
    assert set(verdicts(found).values()) == {"cannot tell"}


def test_samples_that_one_run_could_not_read_are_left_out(ftrun):
    made("a", right(TRUTH, some(0, 300)), {"label": TRUTH})
    outputs = {"label": right(TRUTH, some(0, 300))["label"][5:].contiguous()}
    made("b", outputs, {"label": TRUTH[5:].contiguous()}, ids=torch.arange(5, 2000), samples={"test": 2000})
    found = compared(ftrun, "a", "b")["comparisons"][0]
    assert (found["paired"], found["samples"]) == (True, 1995)


LABELS = {"kind": "labels", "names": ["x", "y"]}
VALUES = {"kind": "values", "names": ["v"]}


def test_labels_and_values_of_several_targets(ftrun):
    generator = torch.Generator().manual_seed(0)
    marks = torch.rand(500, 2, generator=generator).round()
    amounts = torch.randn(500, 1, generator=generator)
    for name, error in (("a", 1.0), ("b", 0.2)):
        noise = torch.randn(500, 2, generator=generator) * error
        outputs = {"marks": (marks * 2 - 1) + noise, "amount": amounts + noise[:, :1] / 2}
        made(name, outputs, {"marks": marks, "amount": amounts}, targets={"marks": LABELS, "amount": VALUES})
    found = compared(ftrun, "a", "b")
    assert verdicts(found) == dict.fromkeys(
        [f"marks/{each}" for each in ("f1_macro", "f1_micro", "log_loss")]
        + [f"amount/{each}" for each in ("mae", "mse", "r2")],
        "better",
    )
    sentences = [line for line in ftrun("compare", "a", "b").stdout.splitlines() if "is better than" in line]
    assert [line.split(":")[0] for line in sentences] == [
        "b is better than a in marks/f1_macro",
        "b is better than a in amount/mae",
    ]


OTHER = {
    "dataset": (
        {"spec": {"dataset": {"name": "other"}}},
        "they were judged on other data: the dataset differs in their specs",
    ),
    "fingerprint": (
        {"data": {"test": {"inputs": "other", "targets": "t"}}},
        "their test samples are not the same: the fingerprints of their inputs differ",
    ),
    "split": ({"split": "val"}, "a was judged on test, and b on val"),
    "names": (
        {"targets": {"label": {"kind": "classes", "names": ["ant", "bee", "dog"]}}},
        "target 'label' does not have the same names: 'cat', 'dog' in one run alone",
    ),
    "ids": ({"ids": torch.arange(2000) + 2000}, "they have no samples in common"),
}


@pytest.mark.parametrize(("changes", "reason"), OTHER.values(), ids=OTHER)
def test_without_the_same_samples_there_is_no_test_but_a_reason(changes, reason, ftrun):
    made("a", right(TRUTH, some(0, 300)), {"label": TRUTH}, data={"test": {"inputs": "one", "targets": "t"}})
    made("b", right(TRUTH, some(0, 900)), {"label": TRUTH}, **changes)
    found = compared(ftrun, "a", "b")
    (comparison,) = found["comparisons"]
    assert (comparison["paired"], comparison["reason"], comparison["metrics"]) == (False, reason, {})
    assert found["runs"][1]["metrics"]["accuracy"] == 0.55
    assert f"b against a: cannot tell, because {reason}." in ftrun("compare", "a", "b").stdout


def test_another_truth_is_other_data(ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH})
    made("b", right(TRUTH, []), {"label": TRUTH.roll(1)})
    (comparison,) = compared(ftrun, "a", "b")["comparisons"]
    assert comparison["reason"].startswith("their test samples are not the same: of 2,000 of 2,000, the truth differs")


@pytest.mark.parametrize(("seed", "paired"), [(0, True), (1, False)])
def test_a_val_that_may_be_cut_by_another_seed_is_not_compared(seed, paired, ftrun):
    made("a", right(TRUTH, some(0, 300)), {"label": TRUTH}, split="val")
    made("b", right(TRUTH, some(0, 300)), {"label": TRUTH}, split="val", spec={"seed": seed})
    shown = [each["samples"] for each in compared(ftrun, "a", "b")["runs"]]
    assert shown == [2000, 2000]
    assert compared(ftrun, "a", "b")["comparisons"][0]["paired"] is paired


def test_what_differs_between_specs(ftrun):
    sgd, adam = {"name": "sgd", "lr": 0.1, "momentum": 0.9}, {"name": "adam", "lr": 0.1, "betas": [0.9, 0.99]}
    plugins = [{"part": "optimizer", "role": "optimizer", "name": "sgd", "distribution": "ftrun-optim", "version": "1"}]
    made("a", right(TRUTH, []), {"label": TRUTH}, spec={"optimizer": sgd, "modifiers": []}, plugins=plugins)
    later = [{**plugins[0], "version": "2"}]
    changed = {"optimizer": adam, "modifiers": [{"name": "m", "sizes": [1, 2]}]}
    made("b", right(TRUTH, []), {"label": TRUTH}, spec=changed, plugins=later, device="cuda")
    assert compared(ftrun, "a", "b")["differences"] == {
        "optimizer.name": ["sgd", "adam"],
        "optimizer.momentum": [0.9, "-"],
        "modifiers": [[], "-"],
        "plugins.ftrun-optim": ["1", "2"],
        "device": ["cpu", "cuda"],
        "optimizer.betas": ["-", [0.9, 0.99]],
        "modifiers.0.name": ["-", "m"],
        "modifiers.0.sizes": ["-", [1, 2]],
    }
    lines = ftrun("compare", "a", "b").stdout.splitlines()
    assert ["optimizer.momentum", "0.9", "-"] in [line.split() for line in lines]
    assert ["optimizer.betas", "-", "[0.9,", "0.99]"] in [line.split() for line in lines]


def test_an_option_left_open_is_no_difference(ftrun):
    open_, other = {"name": "a", "x": None, "y": None, "z": 1}, {"name": "b", "z": 1, "w": None}
    made("a", right(TRUTH, []), {"label": TRUTH}, spec={"optimizer": open_})
    made("b", right(TRUTH, []), {"label": TRUTH}, spec={"optimizer": other})
    assert compared(ftrun, "a", "b")["differences"] == {"optimizer.name": ["a", "b"]}


def test_the_page_draws_the_runs_over_each_other(ftrun):
    for number, name in enumerate("ab"):
        made(name, right(TRUTH, []), {"label": TRUTH})
        lines = [{"epoch": epoch, "val/accuracy": epoch / (4 + number), "seconds/train": 1} for epoch in (1, 2, 3)]
        Path(name, "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = ftrun("compare", "a", "b", "--html", "page.html")
    assert result.exit_code == 0, (result.output, result.exception)
    page = Path("page.html").read_text()
    (figure,) = page.split("<figure>")[1:]
    assert "<b>val/accuracy</b>" in figure
    assert figure.count("<bdi>") == 2
    assert figure.count("stroke: var(--series-") >= 2


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_no_network_and_escapes_names(ftrun):
    hostile = "<script>alert(1)</script>"
    targets = {hostile: {"kind": "classes", "names": NAMES}, "other": {"kind": "classes", "names": NAMES}}
    for name, wrong in (("a", 300), ("b & c", 700)):
        said = right(TRUTH, some(0, wrong))["label"]
        spec = {"optimizer": {"name": f"{hostile} {name}"}}
        truth = {hostile: TRUTH, "other": TRUTH.clone()}
        made(name, {hostile: said, "other": said.clone()}, truth, targets=targets, spec=spec)
    result = ftrun("compare", "a", "b & c", "--html", "page.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("page: page.html\n")
    html = Path("page.html").read_text()
    page = _Page()
    page.feed(html)
    assert "script" not in page.tags
    assert page.links == ["data:,"]
    assert "http" not in html.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in html
    assert f"b & c is worse than a in {hostile}/accuracy: 0.6500 against 0.8500" in page.text
    assert f"{hostile} a" in page.text
    assert page.tags.count("svg") == 8


def test_a_page_is_never_overwritten_unasked(ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH})
    Path("page.html").write_text("mine")
    result = ftrun("compare", "a", "a", "--html", "page.html")
    assert (result.exit_code, Path("page.html").read_text()) == (2, "mine")
    assert "--html page.html: exists already. Name another file, or add --force." in result.output
    refused = ftrun("compare", "a", "a", "--html", "page.html", "--force")
    assert (refused.exit_code, Path("page.html").read_text()) == (2, "mine")
    assert "--html page.html: is no file that this command wrote" in refused.output
    Path("page.html").write_text("<title>a \N{EN DASH} ftrun</title>")  # as a run's report begins
    refused = ftrun("compare", "a", "a", "--html", "page.html", "--force")
    assert "--html page.html: is no file that this command wrote" in refused.output
    for options in ([], ["--force"]):
        assert ftrun("compare", "a", "a", "--html", "earlier.html", *options).exit_code == 0
    assert Path("earlier.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "name two runs or more: ftrun compare RUN RUN..."),
        (["a", "c"], "c: no such run folder."),
        (["a", "a", "--html", "no/page.html"], "--html no/page.html: there is no folder no."),
        (["a", "a", "--html", "a"], "--html a: is a folder. Name a file."),
    ],
    ids=["one", "none", "folder", "a folder"],
)
def test_mistakes_on_the_command_line(arguments, message, ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH})
    result = ftrun("compare", *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def damage(name: str, content: str | dict[str, Any]) -> None:
    Path("b", name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_damaged_files_are_named(ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH})
    record = json.loads(Path("a/resolved.json").read_text())
    for name, content in [
        ("predictions/test.safetensors", "half a fi"),
        ("resolved.json", "{}"),
        ("resolved.json", '{"targets": {}, "samples": {}, "spec": 3}'),
        ("resolved.json", record | {"targets": {"label": {}}}),
        ("resolved.json", record | {"plugins": [{"distribution": []}]}),
        ("resolved.json", record | {"input": "x"}),
        ("resolved.json", record | {"samples": [1]}),
        ("results.json", "["),
        ("checkpoints/best/net.json", "{"),
    ]:
        shutil.copytree("a", "b")
        damage(name, content)
        result = ftrun("compare", "a", "b")
        assert result.exit_code == 1, (name, result.output)
        assert f"Error: b/{name}: is damaged" in result.output
        shutil.rmtree("b")
    made("c", {"label": torch.zeros(9, 2)}, {"label": TRUTH[:9].contiguous()})
    assert "c/predictions/test.safetensors: is damaged: it is of other targets." in ftrun("compare", "a", "c").output
    made("d", {"label": torch.zeros(9, 3)}, {"label": TRUTH[:9] + 7})
    result = ftrun("compare", "a", "d")
    assert (result.exit_code, "sample 0 has label" in result.output) == (1, True), result.output


def test_what_may_be_left_out_is_left_out(ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH}, spec={"train": "x"})
    shutil.copytree("a", "b")
    damage("results.json", '{"seconds": [], "test": 3}')
    _, other = compared(ftrun, "a", "b")["runs"]
    assert (other["seconds"], other["epochs"]) == (None, None)


def test_real_runs_and_one_that_kept_no_predictions(site, ftrun):
    for name, changes in (("one", {}), ("two", {"seed": 1})):
        spec = tiny_spec(metrics=["accuracy", "f1"], loss="cross-entropy", **changes)
        assert ftrun(write_spec(spec), "--out", name, "--device", "cpu").exit_code == 0
    found = compared(ftrun, "one", "two")
    assert found["differences"] == {"seed": [0, 1]}
    for run in found["runs"]:
        results = json.loads(Path(run["run"], "results.json").read_text())
        test = results["test"]
        expected = {"accuracy": test["accuracy"], "f1_macro": test["f1_macro"], "log_loss": test["loss"]}
        assert {name: run["metrics"][name] for name in expected} == pytest.approx(expected, rel=1e-5)
        weights = load_file(Path(run["run"], "checkpoints/best/model.safetensors"))
        learnt = sum(each.numel() for name, each in weights.items() if name.endswith(("weight", "bias")))
        assert run["parameters"] == learnt
    assert found["comparisons"][0]["samples"] == 12

    kept = Path("two/predictions/test.safetensors")
    before = {name: each.tolist() for name, each in load_file(kept).items()}
    kept.unlink()
    result = ftrun("compare", "one", "two")
    assert result.exit_code == 0
    assert "two has kept no predictions of its best epoch on test. To have them: ftrun evaluate two." in result.stdout
    assert f"{results['test']['accuracy']:.4f}" in result.stdout, "its figures are told from results.json"
    assert ftrun("evaluate", "two", "--split", "val").exit_code == 0
    assert not kept.exists(), "another split is not what runs are compared on"
    assert f"kept: {kept}" in ftrun("evaluate", "two").stderr
    # As bytes, the order of what the file says of itself may be another one.
    assert {name: each.tolist() for name, each in load_file(kept).items()} == before
    assert "kept:" not in ftrun("evaluate", "two").stderr
    assert compared(ftrun, "one", "two") == found


def test_predictions_of_an_epoch_that_is_no_longer_the_best_do_not_count(ftrun):
    made("a", right(TRUTH, []), {"label": TRUTH})
    shutil.copytree("a", "b")
    damage("checkpoints/best/net.json", '{"epoch": 3, "val": {}}')
    (comparison,) = compared(ftrun, "a", "b")["comparisons"]
    assert "b has kept no predictions of its best epoch" in comparison["reason"]
    damage("status.json", '{"state": "failed"}')
    (comparison,) = compared(ftrun, "a", "b")["comparisons"]
    assert comparison["reason"] == "b is failed: it has not been judged on test yet"
