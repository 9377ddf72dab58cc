"""The suite is itself tested: it catches a wrong part for each property, and passes the right ones."""

import json
from pathlib import Path

import pytest
from mutants import MUTANTS, RIGHT, RIGHT_ON_TEXTS, Unsupervised
from support import install

import ftrun
from ftrun.contracts.specs import ROLES, Part
from ftrun.plugins.installed import Plugin
from ftrun.plugins.load import load_plugins, part_names
from ftrun_devkit import Check, ContractError, check_plugin, checks_of, tiny_run
from ftrun_devkit.suite import properties_of

INSTALLED = load_plugins()


def checks(part: type[Part]) -> list[Check]:
    plugin = Plugin("ftrun-mutant", "1.0", "mutant", part.__module__, (part,))
    return checks_of(plugin, installed=INSTALLED)


def check_of(part: type[Part], name: str) -> Check:
    (found,) = [check for check in checks(part) if check.property.name == name]
    return found


@pytest.mark.parametrize(
    ("name", "part"),
    [pytest.param(name, part, id=f"{role}-{name}-{index}") for index, (role, name, part) in enumerate(MUTANTS)],
)
def test_a_mutant_is_caught(name: str, part: type[Part], tmp_path: Path) -> None:
    with pytest.raises(ContractError) as caught:
        check_of(part, name).run(tmp_path)
    message = str(caught.value)
    assert f"ftrun-mutant 1.0, {part.role} {part_names(part)[0]!r}, {name}: " in message
    assert "\n  Mend: " in message
    assert "comes from both" not in message  # a clash with the right part is no fault of the mutant's


@pytest.mark.parametrize(
    "check", [check for part in [*RIGHT.values(), *RIGHT_ON_TEXTS] for check in checks(part)], ids=str
)
def test_right_parts_pass(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path)


def test_an_objective_without_losses_is_tried_without(tmp_path: Path) -> None:
    tried = [each for each in checks(Unsupervised) if each.property.name in ("defaults-build", "survives-resume")]
    for number, check in enumerate(tried):
        (tmp_path / str(number)).mkdir()
        check.run(tmp_path / str(number))


def test_every_property_has_a_mutant() -> None:
    caught = {(role, name) for role, name, _ in MUTANTS}
    of_every_part = {each.name for each in properties_of("scheduler")} & {
        each.name for each in properties_of("observer")
    }
    for role in ROLES:
        for each in properties_of(role.role):
            assert (role.role, each.name) in caught or each.name in of_every_part, (role.role, each.name)
            assert each.says.endswith("."), each.name
    assert of_every_part <= {name for _, name in caught}


# The ways to call it


def test_check_plugin_on_the_command_line(site, ftrun):
    result = ftrun("check-plugin", "ftrun-optim", "--json")
    assert result.exit_code == 0, result.output
    listed = json.loads(result.output)
    assert {"part": "adamw", "property": "learns", "passed": True, "message": ""} in listed
    offered = json.loads(ftrun("plugins", "ftrun-optim", "--json").output)
    assert {each["part"] for each in listed} == {each["name"] for each in offered}


CAPITAL = '''
from typing import Literal
import ftrun

class Half(ftrun.Scheduler):
    """Half the rate, less each time it is asked."""

    name: Literal["half"]

    def build(self):
        asked = []
        return lambda progress: 1 / (asked.append(0) or len(asked))

@ftrun.hookimpl
def ftrun_schedulers():
    return [Half]
'''


def test_a_plugin_that_fails_on_the_command_line(site, ftrun):
    install(site, "ftrun-half", CAPITAL)
    result = ftrun("check-plugin", "half")
    assert result.exit_code == 3
    assert "ok    half-docstring" in result.output
    assert (
        "FAIL  half-function-of-progress\n"
        "ftrun-half 1.0, scheduler 'half', function-of-progress: the factor depends on what was asked before.\n"
        "  Mend: Keep no state: a resumed run asks from the middle on." in result.output
    )
    assert result.output.endswith("Error: half does not keep the contract: 2 of 11 checks failed.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ftrun-opitm"], 3, "no installed plugin is called 'ftrun-opitm'. Did you mean 'ftrun-optim'?"),
        (["ftrun-optim", "--set", "lr=1"], 2, "--set lr=1: give it as PART.OPTION=VALUE"),
        (["ftrun-optim", "--set", "sdg.lr=1"], 2, "has no part named 'sdg'. Did you mean 'sgd'?"),
        (["ftrun-optim", "--set", "sgd.lr=-1"], 2, "--set sgd.lr: Input should be greater than 0"),
        (["ftrun-optim", "--input", "64"], 2, "--input 64: give it as an object"),
    ],
)
def test_mistakes_on_the_command_line(arguments, code, message, site, ftrun):
    result = ftrun("check-plugin", *arguments)
    assert message in result.output
    assert result.exit_code == code


def test_under_pytest_there_is_a_test_for_each_part_and_property():
    test = check_plugin("ftrun_optim")
    (mark,) = test.pytestmark
    ids = [str(check) for check in mark.args[1]]
    assert len(ids) == len(set(ids)) > 60
    assert "sgd-state-round-trip" in ids


def test_some_parts_alone_may_be_checked():
    (mark,) = check_plugin("ftrun_optim", parts=["sgd", "step"]).pytestmark
    assert {check.subject.name for check in mark.args[1]} == {"sgd", "step"}
    with pytest.raises(ContractError, match=r"has no part named 'sdg'\. Did you mean 'sgd'\?"):
        check_plugin("ftrun_optim", parts=["sdg"])()


def test_a_plugin_that_is_not_there_fails_as_one_test():
    with pytest.raises(ContractError, match=r"no installed plugin is called 'ftrun_nowhere'.*pip install -e"):
        check_plugin("ftrun_nowhere")()


def test_tiny_run(tmp_path):
    run = tiny_run(tmp_path, optimizer={"name": "sgd", "lr": 0.1}, metrics=["accuracy"])
    assert run.results["test"]["accuracy"] > 0.3
    assert [line["epoch"] for line in run.metrics] == [1, 2]
    assert "results:" in run.log
    with pytest.raises(ftrun.SpecError, match="no optimizer named 'sgdd'"):
        tiny_run(tmp_path / "other", optimizer="sgdd")
