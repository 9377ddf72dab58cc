"""Plugins are called with a run that has finished: all of them, in order, and none of them changes it."""

import json
from pathlib import Path

import pytest
from support import install, tiny_spec, write_spec

HOOK = """
import ftrun


@ftrun.hookimpl
def ftrun_run_finished(run):
    assert (run.folder / "results.json").exists()
    with open("called.txt", "a") as file:
        file.write(f"{{__name__}} {{run.folder.name}} {{run.spec.backbone.name}} {{len(run.splits.train)}}\\n")
    run.say("{name} was here")
    {more}
"""


def install_hook(site, name, more=""):
    install(site, f"ftrun-{name}", HOOK.format(name=name, more=more))


def the_run(ftrun, **changes):
    result = ftrun(write_spec(tiny_spec(**changes)), "--out", "run")
    assert result.exit_code == 0, result.output
    return result.output, Path("run/log.txt").read_text()


def test_each_plugin_is_called_once_in_order_whatever_the_spec_names(alone, ftrun):
    for name in ("second", "first", "third"):
        install_hook(alone, name)
    _, log = the_run(ftrun)
    lines = Path("called.txt").read_text().splitlines()
    assert lines == [f"ftrun_{name} run tiny 54" for name in ("first", "second", "third")]
    assert log.index("first was here") < log.index("second was here") < log.index("third was here")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            "raise ValueError('no\\nsuch')",
            "ftrun-bad: ValueError: no such. The results are not affected; log.txt has the traceback.",
        ),
        ("raise ftrun.FtrunError('the disk is full')", "ftrun-bad: the disk is full"),
    ],
)
def test_a_failure_is_one_line_and_changes_nothing(more, line, alone, ftrun):
    install_hook(alone, "bad", more)
    install_hook(alone, "worse")
    output, log = the_run(ftrun)
    assert [each for each in output.splitlines() if "ftrun-bad" in each] == [line]
    assert "Traceback" not in output
    assert line in log
    assert ('raise ValueError("no' in log.replace("'", '"')) == ("ValueError" in more)
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"
    assert len(Path("called.txt").read_text().splitlines()) == 2, "the next one is called"


def test_it_is_called_when_a_resumed_run_finishes_and_not_again(alone, ftrun):
    install_hook(alone, "first")
    the_run(ftrun)
    assert ftrun("resume", "run").exit_code == 0
    assert len(Path("called.txt").read_text().splitlines()) == 1
    assert ftrun("resume", "run", "--epochs", "3").exit_code == 0
    assert len(Path("called.txt").read_text().splitlines()) == 2


def test_it_is_not_called_for_a_run_that_fails(alone, ftrun):
    install_hook(alone, "first")
    result = ftrun(write_spec(tiny_spec(optimizer={"name": "tiny-sgd", "lr": 1e30})), "--out", "run")
    assert result.exit_code == 5
    assert not Path("called.txt").exists()


def test_one_that_is_left_out_is_not_called(alone, ftrun, monkeypatch):
    install_hook(alone, "first")
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    the_run(ftrun)
    assert not Path("called.txt").exists()
