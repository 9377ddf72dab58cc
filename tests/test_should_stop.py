"""An observer may end a run after an epoch: the reason is recorded; a resumed run ends where it would have ended."""

import json
import sys
from pathlib import Path

import pytest
from support import install, tiny_spec, write_spec
from test_resume import at_every_step, full_spec, go_on, outcome

from ftrun.plugins.catalogue import installed
from ftrun.plugins.load import load_plugins
from ftrun_devkit.suite import checks_of, find_plugin

STOPPER = '''
import json
from typing import Any, Literal

import ftrun


class Stopper(ftrun.Observer):
    """Ends a run after an epoch."""

    name: Literal["stopper"]
    after: int = 2
    answer: Any = "it is\\n enough"

    def build(self):
        return Stopping(self)


class Stopping:
    def __init__(self, options):
        self.options = options

    @ftrun.hookimpl
    def ftrun_should_stop(self, run, epoch):
        lines = (run.folder / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["epoch"] == len(lines) == epoch.epoch
        return self.options.answer if epoch.epoch >= self.options.after else None


@ftrun.hookimpl
def ftrun_observers():
    return [Stopper]
'''


@pytest.fixture
def stopper(site):
    install(site, "ftrun-stopper", STOPPER)


def the_run(ftrun, *observers, epochs=4):
    result = ftrun(write_spec(tiny_spec(observers=list(observers), train={"epochs": epochs, "batch_size": 16})))
    assert result.exit_code == 0, result.output
    folder = Path("runs/spec-1")
    status = json.loads((folder / "status.json").read_text())
    return folder, status, len((folder / "metrics.jsonl").read_text().splitlines())


def test_its_reason_ends_the_run_and_is_recorded(stopper, ftrun):
    folder, status, epochs = the_run(ftrun, "stopper")
    assert (status["state"], status["epoch"], status["reason"]) == ("finished", 2, "stopped early: it is enough")
    assert epochs == 2
    assert "stopped early: it is enough\n" in (folder / "log.txt").read_text()
    assert json.loads((folder / "results.json").read_text())["best_epoch"] in (1, 2)
    assert ftrun("report", folder).exit_code == 0
    assert "Stopped early: it is enough." in (folder / "report.html").read_text()


def test_the_kit_takes_one_that_ends_a_run_for_one_that_changes_nothing(stopper, tmp_path):
    plugins = load_plugins()
    checks = checks_of(find_plugin("ftrun-stopper", plugins), options={"stopper": {"after": 1}}, installed=plugins)
    (check,) = (each for each in checks if each.property.name == "changes-nothing")
    check.run(tmp_path)
    assert len((tmp_path / "with/whole/run/metrics.jsonl").read_text().splitlines()) == 1


def test_it_stays_finished(stopper, ftrun):
    folder, _, _ = the_run(ftrun, "stopper")
    assert "already finished" in ftrun("resume", folder).output
    longer = ftrun("resume", folder, "--epochs", "9")
    assert longer.exit_code == 2
    assert (
        "--epochs 9: this run was stopped by observer 'stopper' of ftrun-stopper 1.0 (observers.0), and would be again."
        in longer.output
    )


def test_a_reason_in_the_last_epoch_ends_nothing_early(stopper, ftrun):
    folder, status, epochs = the_run(ftrun, "stopper", epochs=2)
    assert (status["reason"], epochs) == ("", 2)
    assert "stopped early" not in (folder / "log.txt").read_text()


@pytest.mark.parametrize("answer", [True, "", 0.5, ["enough"]])
def test_an_answer_that_is_no_reason_drops_the_observer(answer, stopper, ftrun):
    folder, status, epochs = the_run(ftrun, {"name": "stopper", "after": 1, "answer": answer}, epochs=3)
    assert (status["reason"], epochs) == ("", 3)
    log = (folder / "log.txt").read_text()
    line = (
        "observer 'stopper' of ftrun-stopper 1.0 (observers.0) failed in ftrun_should_stop and is dropped: "
        f"it returns a reason, as a text, or None, but gave {answer!r}\n"
    )
    assert log.count(line) == 1


def test_of_two_reasons_the_first_observers_is_told(stopper, ftrun):
    second = {"name": "stopper", "answer": "too late"}
    _, status, _ = the_run(ftrun, "stopper", second)
    assert status["reason"] == "stopped early: it is enough"


def test_resumed_at_any_step_it_ends_where_it_would_have(stopper, tmp_path):
    catalogue = installed()
    try:
        spec = full_spec(observers=["stopper"], scheduler=None)
        spec["train"] |= {"epochs": 9, "average": None}
        folder, copies = at_every_step(spec, tmp_path, catalogue)
        assert len(outcome(folder)["metrics"]) == 2
        for copy in copies:
            assert outcome(go_on(copy, catalogue)) == outcome(folder)
    finally:
        sys.modules.pop("ftrun_stopper", None)
