"""On a terminal there is a progress bar; elsewhere there are plain lines alone."""

import os
import pty
import re
from pathlib import Path

import numpy as np
import pytest
import warm
from PIL import Image
from support import ftrun_process, tiny_spec, write_spec


def on_a_terminal(*arguments: str) -> str:
    ours, theirs = pty.openpty()
    process = warm.Process(*arguments, stdout=theirs, stderr=theirs, TERM="xterm", COLUMNS="120")
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown.decode()
    return shown.decode()


def test_a_terminal_shows_progress_with_loss_rate_and_time_left(site):
    write_spec(tiny_spec(dataset={"name": "tiny", "samples": 6000}, train={"epochs": 1, "batch_size": 8}))
    shown = on_a_terminal("spec.json")
    assert "epoch 1/1" in shown
    assert "/5400" in shown
    assert "/s" in shown
    assert "loss 0." in shown or "loss 1." in shown
    assert "0:00:0" in shown
    assert "results: runs/spec-1/results.json" in shown


def test_elsewhere_there_is_one_plain_line_an_epoch(site):
    write_spec(tiny_spec(metrics=["accuracy"], train={"epochs": 3, "batch_size": 16}))
    process = ftrun_process("spec.json")
    assert process.returncode == 0
    assert "\x1b" not in process.stdout
    assert "\r" not in process.stdout
    lines = [line for line in process.stdout.splitlines() if line.startswith("epoch")]
    assert len(lines) == 3
    assert all(name in lines[0] for name in ("epoch 1/3", "train/loss", "val/loss", "val/accuracy", " s"))
    assert process.stderr == ""


@pytest.fixture
def images(site, ftrun) -> list[str]:
    """A run, and images that take a moment to read."""
    assert ftrun(write_spec(tiny_spec(train={"epochs": 1, "batch_size": 16})), "--out", "run").exit_code == 0
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3)).astype(np.uint8)
    for name in ("a", "b"):
        Image.fromarray(noise).save(f"{name}.png", compress_level=0)
    return ["a.png", "b.png"] * 50


def test_predictions_run_over_the_terminal_as_plain_lines(images):
    shown = on_a_terminal("predict", "run", *images[:20])
    lines = shown.replace("\r\n", "\n").splitlines()
    assert "\x1b" not in shown
    assert [line.split()[0] for line in lines] == images[:20]
    assert {tuple(line.split()[1:]) for line in lines} == {tuple(lines[0].split()[1:])}


def test_a_file_of_predictions_is_written_behind_a_bar_with_its_rate(images):
    shown = on_a_terminal("predict", "run", *images, "--csv", "out.csv")
    assert "predict" in shown
    assert "/100" in shown
    assert re.search(r"\d+/s", shown), "how many a second"
    rows = Path("out.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["file", *images]
    last = shown.replace("\r\n", "\n").rpartition("\n")[2]
    assert not re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).strip(), "the bar is gone in the end"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "--json"], ["check", "spec.json"]])
def test_output_that_cannot_be_written_is_told_in_one_line(arguments, site):
    write_spec(tiny_spec())
    with Path("/dev/full").open("w") as full:
        ended = warm.Process(*arguments, stdout=full.fileno())
        _, errors = ended.communicate()
    message = "Error: cannot write the output: No space left on device.\n"
    assert (ended.returncode, errors) == (1, message)


def test_a_run_whose_output_cannot_be_written_goes_on_and_logs(site):
    write_spec(tiny_spec())
    with Path("/dev/full").open("w") as full:
        ended = warm.Process("spec.json", "--out", "run", stdout=full.fileno())
        _, errors = ended.communicate()
    assert (ended.returncode, errors) == (0, "")
    assert "results: run/results.json" in Path("run/log.txt").read_text()
