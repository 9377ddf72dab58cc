"""What a dataset left out or noticed is shown before training, and kept with the run."""

import json
from pathlib import Path

from support import tiny_spec, write_spec

from ftrun import counted

NOTE = "3 files were passed over: .tif 2, <b>.txt</b> 1"

NOTING = f"""
from typing import Literal

import ftrun
from ftrun_tiny import TinyDataset


class Noting(TinyDataset):
    name: Literal["noting"]

    def build(self):
        return super().build().with_notes({NOTE!r})


@ftrun.hookimpl
def ftrun_datasets():
    return [Noting]
"""


def test_a_note_is_in_log_resolved_card_and_report_and_said_again_where_the_run_is_judged(site, ftrun) -> None:
    Path("noting.py").write_text(NOTING)
    spec = write_spec(tiny_spec(dataset="noting", parts="noting.py", train={"epochs": 1, "batch_size": 16}))
    result = ftrun(spec, "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.output.count(NOTE) == 1
    assert result.output.index(NOTE) < result.output.index("train/loss")
    run = Path("run")
    assert (run / "log.txt").read_text().count(NOTE) == 1
    assert json.loads((run / "resolved.json").read_text())["notes"] == [NOTE]
    assert "3 files were passed over" in (run / "README.md").read_text()
    assert ftrun("report", "run").exit_code == 0
    assert "&lt;b&gt;.txt&lt;/b&gt; 1" in (run / "report.html").read_text()
    assert NOTE in ftrun("evaluate", "run").output


def test_counts_are_written_the_most_frequent_first() -> None:
    assert counted({".jfif": 90, ".tif": 1200, ".a": 90}) == ".tif 1,200, .a 90, .jfif 90"
    assert counted({f".{number:02}": 1 for number in range(10)}) == ", ".join(
        [*(f".{number:02} 1" for number in range(8)), "others 2"]
    )
