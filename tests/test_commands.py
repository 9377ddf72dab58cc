"""Commands that plugins bring: listed with them, imported when they are called; each fault is one message."""

import json
import subprocess
import sys

import pytest
from support import install, tiny_spec, write_spec
from test_import_light import HEAVY

from ftrun.cli import main
from ftrun.contracts.commands import CORE_COMMANDS, FIRST_PARTY_COMMANDS

HELLO = '''
import click

import ftrun


@click.command()
@click.argument("name")
def say(name):
    """Greet NAME."""
    if name == "nobody":
        raise ftrun.DataError("nobody: cannot be greeted.")
    click.echo(f"hello {name}")


no_command = 7


@ftrun.hookimpl
def ftrun_commands():
    return [ftrun.Command("hello", "Greet somebody.", f"{__name__}:say")]
'''
PART = """
from typing import Literal
import ftrun
raise RuntimeError("imported, though it has no command")
"""


def offering(*commands):
    """The code of a plugin that offers ftrun.Command(...) for each of these."""
    offers = ", ".join(f"ftrun.Command{each!r}" for each in commands)
    return HELLO.partition("@ftrun.hookimpl")[0] + f"@ftrun.hookimpl\ndef ftrun_commands():\n    return [{offers}]\n"


def install_hello(site, distribution="ftrun-hello", code=HELLO):
    install(site, distribution, code)


# What works


def test_it_runs_as_the_cores_own(alone, ftrun):
    install_hello(alone)
    assert ftrun("hello", "you").output == "hello you\n"
    failed = ftrun("hello", "nobody")
    assert (failed.exit_code, failed.output) == (4, "Error: nobody: cannot be greeted.\n")
    usage = ftrun("hello", "--help").output
    assert usage.startswith("Usage: ")
    assert "hello [OPTIONS] NAME\n\n  Greet NAME.\n" in usage
    assert ftrun("hello").exit_code == 2


def test_help_lists_it_with_its_plugin(alone, ftrun):
    install_hello(alone)
    result = ftrun("--help")
    assert result.exit_code == 0
    _, _, listed = result.output.partition("Commands of plugins:\n")
    assert listed.split() == ["hello", "Greet", "somebody.", "(ftrun-hello)"]


def test_help_without_commands_of_plugins_has_no_list_of_them(alone, ftrun):
    assert "Commands of plugins" not in ftrun("--help").output


def test_help_imports_no_plugin_without_commands_and_nothing_heavy(site):
    install(site, "ftrun-parts", PART)
    install_hello(site)
    code = f"""
import json, sys
from ftrun.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stopped:
    assert not stopped.code
ours = sorted(name for name in sys.modules if name.startswith("ftrun_") and "." not in name)
print(json.dumps([ours, sorted({HEAVY} & set(sys.modules))]), file=sys.stderr)
"""
    for arguments in (["--help"], ["hello", "you"], ["hello", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        imported, heavy = json.loads(done.stderr.splitlines()[-1])
        assert "ftrun_hello" in imported
        assert not {"ftrun_parts", "ftrun_tiny", "ftrun_optim"} & set(imported)
        assert heavy == []


def test_a_spec_of_that_name_is_a_spec_unless_a_command_is_called_so(alone, ftrun):
    write_spec(tiny_spec(train={"epochs": 1, "batch_size": 16}), "greet")
    assert ftrun("greet", "--out", "run").exit_code == 0
    install_hello(alone)
    write_spec(tiny_spec(), "hello")
    assert ftrun("hello", "you").output == "hello you\n"


def test_plugins_lists_it(alone, ftrun):
    install_hello(alone)
    assert "ftrun-hello 1.0\n  command  hello  Greet somebody.\n" in ftrun("plugins").output
    listed = json.loads(ftrun("plugins", "--json").output)["plugins"]
    commands = {each["distribution"]: each["commands"] for each in listed}
    assert commands["ftrun-hello"] == [{"name": "hello", "summary": "Greet somebody."}]


@pytest.mark.parametrize("name", ["hello", "ftrun-hello"])
def test_why_tells_where_it_is_from(name, alone, ftrun):
    install_hello(alone)
    found = json.loads(ftrun("plugins", "--why", name, "--json").output)
    assert {each["state"] for each in found} == {"loaded"}
    assert all(
        each["commands"] == [{"name": "hello", "target": "ftrun_hello:say", "clashes_with": []}] for each in found
    )
    assert "  command  hello: ftrun_hello:say\n" in ftrun("plugins", "--why", name).output


def test_why_of_a_mistyped_one(alone, ftrun):
    install_hello(alone)
    result = ftrun("plugins", "--why", "helo")
    assert result.exit_code == 2
    assert "no plugin, module, part or command named 'helo'. Did you mean 'hello'?" in result.output


# Clashes


def test_two_plugins_that_offer_one_clash(alone, ftrun):
    install_hello(alone)
    install_hello(alone, "ftrun-other")
    result = ftrun("hello", "you")
    assert (result.exit_code, result.output) == (
        3,
        "Error: the command 'hello' comes from both ftrun-hello 1.0 and ftrun-other 1.0. Uninstall one of them: "
        "pip uninstall ftrun-hello, or pip uninstall ftrun-other.\n",
    )
    assert ftrun("--help").output.count("Greet somebody.") == 2
    clash = "CLASH: command 'hello' comes from both ftrun-hello 1.0 and ftrun-other 1.0\n"
    assert clash in ftrun("plugins").output
    found = json.loads(ftrun("plugins", "--why", "hello", "--json").output)
    assert {each["state"] for each in found if each["kind"] == "command"} == {"clashes"}
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0, "a clash that nobody needs stops nothing"


def test_a_hook_that_is_not_marked_is_broken_for_the_command_line_as_for_the_listing(alone, ftrun):
    install_hello(alone, code=HELLO.replace("@ftrun.hookimpl\n", ""))
    reason = "ftrun_commands is not marked with @ftrun.hookimpl, so it would never be called"
    assert f"ftrun-hello is broken: {reason}" in " ".join(ftrun("--help").output.split()).replace("- ", "-")
    assert reason in ftrun("plugins").output
    assert ftrun("hello", "you").exit_code == 2


@pytest.mark.parametrize("name", CORE_COMMANDS)
def test_a_command_of_the_cores_cannot_be_taken(name, alone, ftrun):
    install_hello(alone, code=offering((name, "Take it.", "ftrun_hello:say")))
    reason = f"ftrun_commands offers {name!r}, which is a command of ftrun's own: give it another name"
    shown = " ".join(ftrun("--help").output.split())
    assert shown.endswith(f"ftrun-hello is broken: {reason}".replace("verify-resume", "verify- resume")) or reason in (
        shown.replace("- ", "-")
    )
    assert reason in ftrun("plugins", "--why", "ftrun-hello").output
    assert "Take it." not in ftrun(name, "--help").output


# Broken ones


BROKEN = {
    "missing module": (
        ("hello", "Greet.", "ftrun_nowhere:say"),
        "ftrun_nowhere:say failed to import: ModuleNotFoundError: No module named 'ftrun_nowhere'",
    ),
    "missing function": (
        ("hello", "Greet.", "ftrun_hello:sey"),
        "ftrun_hello:sey failed to import: AttributeError: module 'ftrun_hello' has no attribute 'sey'",
    ),
    "no click command": (("hello", "Greet.", "ftrun_hello:no_command"), "ftrun_hello:no_command is no click command"),
    "an exception": (
        ("hello", "Greet.", "ftrun_raises:say"),
        "ftrun_raises:say failed to import: ValueError: it cannot be",
    ),
    "an end": (("hello", "Greet.", "ftrun_exits:say"), "ftrun_exits:say failed to import: SystemExit: 7"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_target_is_one_message_when_it_is_called(fault, alone, ftrun):
    command, reason = BROKEN[fault]
    install_hello(alone, code=offering(command, ("fine", "Greet.", "ftrun_hello:say")))
    (alone / "ftrun_raises.py").write_text("raise ValueError('it cannot be')")
    (alone / "ftrun_exits.py").write_text("raise SystemExit(7)")
    result = ftrun("hello", "you")
    assert (result.exit_code, result.output) == (
        3,
        f"Error: the command 'hello' of ftrun-hello 1.0 is broken: {reason}\n",
    )
    assert "hello" in ftrun("--help").output
    assert ftrun("fine", "you").output == "hello you\n"


WRONG = {
    "no command": (
        HELLO.replace("[ftrun.Command", "['hello'] or [ftrun.Command"),
        "must offer ftrun.Command(",
    ),
    "capital letters": (offering(("Hello", "Greet.", "m:f")), "a command's name is lower-case letters, digits and"),
    "a space": (offering(("say hello", "Greet.", "m:f")), "a command's name is lower-case letters, digits and"),
    "no function": (offering(("hello", "Greet.", "m")), "hello: its target is \"module:function\", unlike 'm'"),
    "two lines": (offering(("hello", "Greet.\nNow.", "m:f")), "hello: its help is one line"),
    "no help": (offering(("hello", " ", "m:f")), "hello: its help is one line"),
    "twice": (offering(*[("hello", "Greet.", "m:f")] * 2), "ftrun_commands offers 'hello' twice"),
    "a hook that raises": (
        HELLO.replace("    return [ftrun", "    1 / 0\n    return [ftrun"),
        "ftrun_commands failed: ZeroDivisionError: division by zero",
    ),
    "a module that raises": ("def ftrun_commands(): pass\n1 / 0", "failed to import: ZeroDivisionError: division by"),
    "another API": ('FTRUN_API = "9.0"\n' + HELLO, "is written for ftrun's API 9.0"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_an_offer_is_shown_and_stops_no_other_command(fault, alone, ftrun):
    code, reason = WRONG[fault]
    install_hello(alone, code=code)
    shown = ftrun("--help")
    assert shown.exit_code == 0
    assert "ftrun-hello" in shown.output.partition("Commands of plugins:")[2]
    assert "is broken: " in " ".join(shown.output.split())
    why = json.loads(ftrun("plugins", "--why", "ftrun-hello", "--json").output)
    assert (why[0]["state"], reason in why[0]["reason"]) == ("broken", True), why[0]["reason"]
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0


# Commands that are not here


def test_one_that_is_left_out_is_none(alone, ftrun, monkeypatch):
    install_hello(alone)
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    assert "hello" not in ftrun("--help").output
    assert ftrun("hello", "you").exit_code == 2


def test_one_of_ours_that_is_left_out_is_told(site, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    result = ftrun("check-plugin", "optim")
    assert (result.exit_code, result.output) == (
        3,
        "Error: the command 'check-plugin' comes from ftrun-devkit, which FTRUN_PLUGINS leaves out. Add it: "
        "FTRUN_PLUGINS=...,ftrun-devkit\n",
    )


@pytest.mark.parametrize("name", FIRST_PARTY_COMMANDS)
def test_one_of_ours_that_is_not_installed_is_told(name, alone, ftrun):
    distribution = FIRST_PARTY_COMMANDS[name]
    result = ftrun(name, "whatever")
    assert (result.exit_code, result.output) == (
        3,
        f"Error: the command {name!r} comes from {distribution}, which is not installed. Run: pip install "
        f"{distribution}\n",
    )


def test_one_of_ours_that_is_broken_is_told(alone, ftrun):
    install(alone, "ftrun-devkit", "def ftrun_commands(): pass\n1 / 0", module="ftrun_devkit_of_another")
    result = ftrun("new-plugin", "loss", "mine")
    assert (result.exit_code, result.output) == (
        3,
        "Error: the command 'new-plugin' comes from ftrun-devkit, which is broken: failed to import: "
        "ZeroDivisionError: division by zero\n",
    )


def test_every_command_of_ours_is_offered_by_the_plugin_that_is_named(ftrun):
    listed = json.loads(ftrun("plugins", "--json").output)["plugins"]
    offered = {command["name"]: each["distribution"] for each in listed for command in each["commands"]}
    assert offered == FIRST_PARTY_COMMANDS
    assert sorted(main.commands) == sorted(CORE_COMMANDS)


def test_a_mistyped_one(alone, ftrun):
    install_hello(alone)
    result = ftrun("helo", "you")
    assert (result.exit_code, result.output) == (
        2,
        "Error: helo: no such file or command. Did you mean 'hello'?\n",
    )
