"""README.md of a run folder: a model card whose every value is data, never markup."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import tiny_spec, write_spec

from ftrun_report import card as card_module
from ftrun_report.card import escape

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "`ticks` **bold** _it_ [x](http://evil.example)",
    "two\nlines\r\nand a\ttab",
    "---\nlicense: mit",
    "# heading",
    "\u202eright to left\u202c",
    "null: [",
    "\x00\x1b[31m\x7f\x85\u2028\ufeff",
    "snowman \u2603 \U0001f600",
    "half \udc80",
    "'single' \"double\" \\back",
    "@somebody & co",
    "x" * 500,
    "",
]

NAMED = """
from typing import Literal

import ftrun


class Named(ftrun.Dataset):
    "Three images of each class."

    name: Literal["named"]
    names: list[str]
    path: str | None = None

    def build(self):
        import torch

        count = 3 * len(self.names)
        labels = torch.arange(count) % len(self.names)
        images = (labels * 3)[:, None, None, None].expand(count, 1, 8, 8).to(torch.uint8).contiguous()
        split = ftrun.TensorSplit(images, {"label": labels})
        return ftrun.Splits(train=split, test=split, targets={"label": ftrun.Classes(names=tuple(self.names))})


@ftrun.hookimpl
def ftrun_datasets():
    return [Named]
"""


def started(ftrun, **changes: Any) -> str:
    spec = tiny_spec(**{"metrics": ["accuracy", "f1"], "loss": "cross-entropy", **changes})
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    return Path("run/README.md").read_text(encoding="utf-8")


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The metadata, and the rest."""
    start, metadata, rest = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(metadata), rest


def test_it_says_what_the_run_folder_says(site, ftrun) -> None:
    metadata, rest = parts(started(ftrun))
    results = json.loads(Path("run/results.json").read_text())
    assert metadata.pop("model-index") == [
        {
            "name": "run",
            "results": [
                {
                    "task": {"type": "image-classification"},
                    "dataset": {"type": "tiny", "name": "tiny", "split": "test"},
                    "metrics": [
                        {"type": name.partition("_")[0], "name": name, "value": results["test"][name]}
                        for name in ("loss", "accuracy", "f1_macro")
                    ],
                }
            ],
        }
    ]
    assert metadata == {
        "library_name": "ftrun",
        "pipeline_tag": "image-classification",
        "tags": ["ftrun", "tiny", "image-classification"],
        "datasets": ["tiny"],
        "metrics": ["accuracy", "f1"],
    }
    assert "# run\n" in rest
    assert "label: one of 3 classes: class 0, class 1, class 2" in rest
    assert f"| accuracy | {results['val']['accuracy']:.4f} | {results['test']['accuracy']:.4f} |" in rest
    assert "54 train, 6 val, 12 test" in rest
    assert "| class 1 | 18 |" in rest
    assert "Accuracy was measured on 12 samples" in rest
    assert "of seed 0" in rest
    assert "No licence is stated here." in rest
    assert 'ftrun.load("RUN")' in rest
    assert "The weights are in model.safetensors" in rest, "the tiny net is no library's"


def test_limits_follow_from_the_run(site, ftrun) -> None:
    card = started(ftrun, dataset={"name": "tiny", "test": False}, train={"epochs": 1, "batch_size": 16})
    metadata, rest = parts(card)
    assert metadata["model-index"][0]["results"][0]["dataset"]["split"] == "val"
    assert "There was no test split." in rest
    assert "The best epoch is the last one, 1" in rest
    assert "It sees images at 8 x 8 pixels" in rest


def test_names_are_data_and_never_markup(site, ftrun) -> None:
    Path("many_names.py").write_text(NAMED)
    dataset = {"name": "named", "names": [each for each in HOSTILE if "\udc80" not in each], "path": "/home/me/secret"}
    metadata, rest = parts(
        started(ftrun, dataset=dataset, parts="many_names.py", train={"epochs": 1, "batch_size": 64})
    )
    assert set(metadata) == {"library_name", "pipeline_tag", "tags", "metrics", "model-index"}
    assert "/home/me/secret" not in rest
    prose = "".join(rest.split("```")[::2])  # without the code, in which nothing is markup
    prose = re.sub(r"(`+).*?\1", "", prose)
    assert "<script" not in prose
    assert "http://" not in prose
    assert "\nlicense" not in prose
    assert not any(each in rest for each in "\x00\x1b\x7f\x85\u2028\ufeff\u202e")
    table = [line for line in prose.splitlines() if line.startswith("| ")]
    assert any("a \\| b" in line for line in table)
    assert all(line.replace("\\|", "").count("|") in (3, 4) for line in table), "no cell is cut in two"
    assert sum("(no name)" in line for line in table) == 1
    assert "snowman \u2603" in prose


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_comes_back_from_the_yaml(text: str) -> None:
    value = {"a": [{"name": text, "value": 0.5}, {"name": "b", "list": [text, 1, None, True]}], "empty": []}
    expected = json.loads(json.dumps(value).replace("\\udc80", "?"))
    assert yaml.safe_load(escape.yaml(value)) == expected
    assert "\n" not in escape.markdown(text)
    assert len(escape.markdown("x" * 500)) < 70


def test_numbers_that_are_none_are_null() -> None:
    assert yaml.safe_load(escape.yaml({"a": float("nan"), "b": [float("inf"), 1e-7]})) == {"a": None, "b": [None, 1e-7]}


def test_code_spans_hold_any_backticks() -> None:
    assert escape.code("a") == '`"a"`'
    assert escape.code("a `` b") == '``` "a `` b" ```'


def test_a_card_that_somebody_changed_is_kept(site, ftrun) -> None:
    card = started(ftrun)
    assert ftrun("resume", "run", "--epochs", "3").exit_code == 0
    renewed = Path("run/README.md").read_text()
    assert renewed != card
    assert "of 3, the best one" in renewed
    mine = renewed.replace("## Limits", "## Limits that I know")
    Path("run/README.md").write_text(mine)
    result = ftrun("resume", "run", "--epochs", "4")
    assert result.exit_code == 0
    assert "run/README.md: kept as it is, since somebody has changed it" in result.output
    assert Path("run/README.md").read_text() == mine


def test_a_card_that_fails_costs_a_line_and_nothing_else(site, ftrun, monkeypatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError("no space")

    monkeypatch.setattr(card_module, "write_whole", full)
    spec = write_spec(tiny_spec())
    result = ftrun(spec, "--out", "run", "--device", "cpu")
    assert result.exit_code == 0
    assert "no README.md: OSError: no space. The results are not affected; log.txt has" in result.output
    assert not Path("run/README.md").exists()
