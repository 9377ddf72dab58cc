"""Which plugins are loaded, and what is said of those that are not, or that use what is deprecated."""

import builtins
import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from support import install, tiny_spec, write_spec

import ftrun as api
from ftrun.contracts import events, hooks

PART = '''
from typing import Literal
import ftrun

class Slow(ftrun.Optimizer):
    """Takes its time."""

    name: Literal["slow"]

    def build(self, params):
        import torch

        return torch.optim.SGD(params, lr=0.1)

@ftrun.hookimpl
def ftrun_optimizers():
    return [Slow]
'''
IMPORTED = "import builtins\nbuiltins.ftrun_was_imported = True\n"
"""Says so where a plugin is imported that must not be."""


def listed(ftrun, *arguments):
    result = ftrun("plugins", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def reason(ftrun, distribution="ftrun-slow"):
    (broken,) = [each for each in listed(ftrun)["broken"] if each["distribution"] == distribution]
    return broken["reason"]


def was_imported():
    return vars(builtins).pop("ftrun_was_imported", False)


@pytest.fixture(autouse=True)
def _nothing_was_imported():
    yield
    was_imported()


# The API that a plugin is written for


def test_the_version_of_the_api_is_public():
    assert api.API_VERSION == "2.0"


@pytest.mark.parametrize(
    "stated",
    [
        "",
        'FTRUN_API = "2.0"',
        'FTRUN_API: str = "2.0"',
        'API = FTRUN_API = "2.0"',
        'FTRUN_API = "0.1"\nFTRUN_API = "2.0"',
        'FTRUN_API = "2." + "0"',
        "from ftrun import API_VERSION as FTRUN_API",
        "FTRUN_API = None",
        'def late():\n    FTRUN_API = "7.0"',
        "# FTRUN_API",
    ],
)
def test_a_plugin_for_this_api_is_loaded(stated, site, ftrun):
    install(site, "ftrun-slow", f"{stated}\n{PART}")
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0


@pytest.mark.parametrize(
    ("stated", "remedy"),
    [
        ("3.0", "Upgrade ftrun: pip install --upgrade ftrun"),
        ("2.1", "Upgrade ftrun: pip install --upgrade ftrun"),
        ("10.0", "Upgrade ftrun: pip install --upgrade ftrun"),
        ("1.1", "Upgrade it: pip install --upgrade ftrun-slow"),
    ],
)
def test_a_plugin_for_another_api_is_not_imported(stated, remedy, site, ftrun):
    install(site, "ftrun-slow", f'FTRUN_API = "{stated}"\n{IMPORTED}{PART}')
    assert reason(ftrun) == f"is written for ftrun's API {stated}, and this ftrun has 2.0. {remedy}"
    assert not was_imported()
    result = ftrun("check", write_spec(tiny_spec(optimizer="slow")))
    assert result.exit_code == 3
    assert f"  ftrun-slow 1.0: is written for ftrun's API {stated}" in result.output


@pytest.mark.parametrize(
    "stated", ['"one"', '"1"', '"1.0.0"', '" 1.0"', '"1.0rc1"', '"-1.0"', "1.0", "1", "(1, 0)", '""']
)
def test_a_malformed_api_is_a_broken_plugin(stated, site, ftrun):
    install(site, "ftrun-slow", f"FTRUN_API = {stated}\n{IMPORTED}{PART}")
    shown = repr(json.loads(stated)) if stated.startswith('"') else stated
    assert reason(ftrun) == f'FTRUN_API must be a version such as "2.0", but it is {shown}'
    assert not was_imported()


def test_an_api_that_only_running_the_module_tells_counts_too(site, ftrun):
    install(site, "ftrun-slow", f'FTRUN_API = "3." + "0"\n{PART}')
    assert reason(ftrun).startswith("is written for ftrun's API 3.0, ")


def test_the_api_of_a_module_inside_a_package(site, ftrun):
    """Not even its package is imported."""
    install(site, "ftrun-slow", "", module="slow_unused")
    (site / "slow_package" / "inner").mkdir(parents=True)
    (site / "slow_package" / "__init__.py").write_text(IMPORTED)
    (site / "slow_package" / "inner" / "__init__.py").write_text(IMPORTED)
    (site / "slow_package" / "inner" / "plugin.py").write_text(f'FTRUN_API = "3.0"\n{PART}')
    entry_points = site / "ftrun_slow-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text("[ftrun]\nslow = slow_package.inner.plugin\n")
    assert reason(ftrun).startswith("is written for ftrun's API 3.0, ")
    assert not was_imported()
    (site / "slow_package" / "inner" / "plugin.py").write_text(PART)
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0
    assert was_imported()


def test_a_module_without_source_says_it_when_it_is_imported(site, ftrun):
    import py_compile

    install(site, "ftrun-slow", f'FTRUN_API = "3.0"\n{PART}')
    py_compile.compile(str(site / "ftrun_slow.py"), cfile=str(site / "ftrun_slow.pyc"))
    (site / "ftrun_slow.py").unlink()
    assert reason(ftrun).startswith("is written for ftrun's API 3.0, ")


# What is deprecated


@pytest.fixture
def deprecated(monkeypatch):
    """The hook of optimizers and one argument of observers are deprecated."""

    def ftrun_optimizers():
        """Offer optimizers."""

    gone = DeprecationWarning("ftrun_optimizers goes in API 3: offer learners instead.")
    monkeypatch.setitem(hooks.HOOKS, "ftrun_optimizers", hooks.hookspec(ftrun_optimizers, warn_on_impl=gone))

    def ftrun_after_epoch(run, epoch):
        """An epoch is over."""

    argument = {"epoch": DeprecationWarning("the argument epoch goes in API 3.")}
    spec = hooks.hookspec(ftrun_after_epoch, warn_on_impl_args=argument)
    monkeypatch.setattr(events, "ftrun_after_epoch", spec)


def test_a_deprecated_hook_is_said_of_each_plugin_that_has_it(alone, ftrun, deprecated):
    install(alone, "ftrun-slow", PART)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = ftrun("plugins").output
        found = listed(ftrun)["plugins"]
    warning = "ftrun_optimizers goes in API 3: offer learners instead."
    assert [each["warnings"] for each in found] == [[warning], [warning]]
    assert f"ftrun-slow 1.0\n  optimizer  slow  Takes its time.\n  WARNING: {warning}\nftrun-tiny 1.0\n" in text
    assert listed(ftrun, "--why", "ftrun-slow")[0]["warnings"] == [warning]
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0


def test_of_a_broken_plugin_too(alone, ftrun, deprecated):
    install(alone, "ftrun-slow", PART.replace("[Slow]", "[7]"))
    assert listed(ftrun)["broken"][0]["warnings"] == ["ftrun_optimizers goes in API 3: offer learners instead."]


def test_what_an_observer_has_that_is_deprecated_is_said_in_the_run(site, ftrun, deprecated):
    spec = tiny_spec(observers=[{"name": "recorder", "file": "calls"}])
    assert ftrun(write_spec(spec)).exit_code == 0
    log = Path("runs/spec-1/log.txt").read_text()
    assert "observer 'recorder' of ftrun-tiny 1.0 (observers.0): the argument epoch goes in API 3." in log
    assert "after_epoch 1" in Path("calls").read_text()


# What pluggy refuses


def test_two_entry_points_for_one_module(site, ftrun):
    install(site, "ftrun-slow", PART)
    (site / "ftrun_slow-1.0.dist-info" / "entry_points.txt").write_text("[ftrun]\na = ftrun_slow\nb = ftrun_slow\n")
    assert reason(ftrun) == "its module is offered by ftrun-slow already"
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0


def test_a_wrapper_that_does_not_yield(site, ftrun):
    install(site, "ftrun-slow", PART.replace("hookimpl\n", "hookimpl(wrapper=True)\n"))
    assert reason(ftrun).startswith("failed to register: PluginValidationError: ")


# FTRUN_PLUGINS


@pytest.fixture
def three(alone, monkeypatch):
    """Three plugins, of which the last two must not be imported."""
    install(alone, "ftrun-slow", IMPORTED + PART)
    install(alone, "Acme.Parts", IMPORTED + PART.replace('"slow"', '"slower"'), module="acme_parts")
    return alone


@pytest.mark.parametrize(
    ("names", "loaded"),
    [
        ("ftrun-tiny", ["ftrun-tiny"]),
        ("tiny", ["ftrun-tiny"]),
        (" FTRUN_Tiny , ", ["ftrun-tiny"]),
        ("", []),
        (" , ", []),
        ("tiny,slow", ["ftrun-slow", "ftrun-tiny"]),
        ("acme-parts,tiny", ["Acme.Parts", "ftrun-tiny"]),
        ("ACME__parts", ["Acme.Parts"]),
    ],
)
def test_only_these_are_loaded(names, loaded, three, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", names)
    found = listed(ftrun)
    assert [each["distribution"] for each in found["plugins"]] == loaded
    assert found["broken"] == []
    left_out = [name for name in ("Acme.Parts", "ftrun-slow", "ftrun-tiny") if name not in loaded]
    assert [each["distribution"] for each in found["left_out"]] == left_out
    assert was_imported() == bool({"Acme.Parts", "ftrun-slow"} & set(loaded))
    lines = ftrun("plugins").output.splitlines()
    assert lines[-1] == f"Left out by FTRUN_PLUGINS: {', '.join(left_out)}"
    assert "No plugins" not in lines[0]


def test_without_it_nothing_is_left_out(three, ftrun):
    assert listed(ftrun)["left_out"] == []
    assert "Left out" not in ftrun("plugins").output


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        ("tiny,ftrun-slwo", "no plugin named 'ftrun-slwo' is installed. Did you mean 'ftrun-slow'?"),
        ("slwo", "no plugin named 'slwo' is installed. Did you mean 'slow'?"),
        ("zzz", "no plugin named 'zzz' is installed."),
        (
            "zzz,tinny",
            "no plugin named 'zzz' is installed. no plugin named 'tinny' is installed. Did you mean 'tiny'?",
        ),
    ],
)
def test_a_name_that_no_plugin_has(names, unknown, three, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", names)
    for arguments in (["plugins"], ["schema"], ["check", write_spec(tiny_spec())], ["plugins", "--why", "tiny"]):
        result = ftrun(*arguments)
        message = f"Error: FTRUN_PLUGINS: {unknown} Installed: Acme.Parts, ftrun-slow, ftrun-tiny.\n"
        assert (result.output, result.exit_code) == (message, 3)


def test_a_spec_that_needs_what_is_left_out_is_told(three, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0
    result = ftrun("check", write_spec(tiny_spec(optimizer="slow")))
    assert (result.output, result.exit_code) == (
        """\
Error: spec.json: optimizer: no optimizer named 'slow'. Installed: tiny-sgd.
These plugins are installed but left out by FTRUN_PLUGINS, and might offer it: Acme.Parts, ftrun-slow
""",
        3,
    )
    assert "left out by FTRUN_PLUGINS" in ftrun("plugins", "slow").output
    monkeypatch.setenv("FTRUN_PLUGINS", "")
    result = ftrun("check", write_spec(tiny_spec()))
    assert result.exit_code == 3
    assert result.output.endswith("might offer it: Acme.Parts, ftrun-slow, ftrun-tiny\n")
    assert not was_imported()


def test_also_where_a_loaded_part_has_a_name_like_it(alone, ftrun, monkeypatch):
    """Nobody can tell whether it is a slip of the pen, without the import that is not wanted."""
    install(alone, "ftrun-slow", PART.replace('"slow"', '"tiny-sgd2"'))
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    result = ftrun("check", write_spec(tiny_spec(optimizer="tiny-sgd2")))
    assert result.exit_code == 3
    assert "Did you mean 'tiny-sgd'?" in result.output
    assert result.output.endswith("left out by FTRUN_PLUGINS, and might offer it: ftrun-slow\n")


def test_a_mistake_that_has_nothing_to_do_with_it_stays_the_specs(three, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    result = ftrun("check", write_spec(tiny_spec(seed=-1)))
    assert (result.exit_code, "FTRUN_PLUGINS" in result.output) == (2, False)


def test_a_run_that_needs_what_is_left_out_is_not_resumed(three, ftrun, monkeypatch):
    assert ftrun(write_spec(tiny_spec(optimizer="slow"))).exit_code == 0
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    result = ftrun("resume", "runs/spec-1", "--epochs", "3")
    assert (result.output, result.exit_code) == (
        "Error: this run's optimizer 'slow' comes from ftrun-slow 1.0, which FTRUN_PLUGINS leaves out. "
        "Add it: FTRUN_PLUGINS=...,ftrun-slow\n",
        3,
    )


# FTRUN_STRICT_PLUGINS


@pytest.mark.parametrize("value", ["1", "true", "Yes"])
def test_strict_refuses_all_that_is_broken_or_clashes(value, alone, ftrun, monkeypatch):
    install(alone, "ftrun-bad", "import nowhere_to_be_found", version="0.3")
    install(alone, "ftrun-slow", PART)
    install(alone, "ftrun-two", PART, version="2.0")
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0
    monkeypatch.setenv("FTRUN_STRICT_PLUGINS", value)
    spec = write_spec(tiny_spec())
    for arguments in (["plugins"], ["plugins", "loss"], ["schema"], ["check", spec], [spec]):
        result = ftrun(*arguments)
        assert (result.output, result.exit_code) == (
            """\
Error: FTRUN_STRICT_PLUGINS refuses what is broken or clashes:
  ftrun-bad 0.3: failed to import: ModuleNotFoundError: No module named 'nowhere_to_be_found'
  optimizer 'slow' comes from both ftrun-slow 1.0 and ftrun-two 2.0. Uninstall one of them: pip uninstall ftrun-slow, \
or pip uninstall ftrun-two.
""",
            3,
        )
    assert ftrun("plugins", "--why", "ftrun-bad").exit_code == 0, "what it refuses can still be asked about"
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny,slow")
    assert ftrun("check", spec).exit_code == 0, "what is left out is not broken"


@pytest.mark.parametrize("value", ["", "0", "false", "no", "No"])
def test_strict_is_off(value, alone, ftrun, monkeypatch):
    install(alone, "ftrun-bad", "import nowhere_to_be_found")
    monkeypatch.setenv("FTRUN_STRICT_PLUGINS", value)
    assert ftrun("plugins").exit_code == 0


def test_strict_with_a_value_that_says_neither(alone, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_STRICT_PLUGINS", "maybe")
    result = ftrun("plugins")
    assert (result.output, result.exit_code) == ("Error: FTRUN_STRICT_PLUGINS: must be 1 or 0, but it is 'maybe'.\n", 2)


# --why


def why(ftrun, name):
    return listed(ftrun, "--why", name)


@pytest.mark.parametrize("name", ["ftrun-slow", "slow-plugin", "FTRUN_Slow_Plugin", "module_slow"])
def test_why_of_a_plugin(name, alone, ftrun):
    distribution = "ftrun-slow" if name == "ftrun-slow" else "ftrun-slow-plugin"
    install(alone, distribution, f'FTRUN_API = "2.0"\n{PART}', version="2.1", module="module_slow")
    assert (
        ftrun("plugins", "--why", name).output
        == f"""\
{distribution} 2.1: loaded
  module   module_slow, which is the entry point {distribution!r}
  file     {alone / "module_slow.py"}
  API      2.0
  part     optimizer slow: module_slow.Slow, offered by ftrun_optimizers
"""
    )
    assert why(ftrun, name) == [
        {
            "kind": "plugin",
            "state": "loaded",
            "reason": "",
            "traceback": "",
            "distribution": distribution,
            "version": "2.1",
            "entry_point": distribution,
            "module": "module_slow",
            "file": str(alone / "module_slow.py"),
            "api": "2.0",
            "warnings": [],
            "parts": [
                {
                    "role": "optimizer",
                    "name": "slow",
                    "hook": "ftrun_optimizers",
                    "class": "module_slow.Slow",
                    "clashes_with": [],
                }
            ],
            "commands": [],
        }
    ]


def test_why_of_a_part(alone, ftrun):
    assert (
        ftrun("plugins", "--why", "tiny-sgd").output
        == f"""\
tiny-sgd (optimizer), from ftrun-tiny 1.0: loaded
  module   ftrun_tiny, which is the entry point 'ftrun-tiny'
  file     {alone / "ftrun_tiny.py"}
  API      not stated, so taken to be this ftrun's, 2.0
  part     optimizer tiny-sgd: ftrun_tiny.TinyOptimizer, offered by ftrun_optimizers
"""
    )
    (found,) = why(ftrun, "tiny-sgd")
    assert (found["kind"], found["api"]) == ("part", None)
    assert [(each["kind"], each["parts"][0]["role"]) for each in why(ftrun, "tiny")] == [
        ("plugin", "dataset"),
        ("part", "dataset"),
        ("part", "backbone"),
    ]


def test_why_of_a_broken_plugin_shows_its_own_frames(alone, ftrun):
    install(alone, "ftrun-bad", "def helper():\n    return 1 / 0\n\nhelper()\n", version="0.3")
    file = alone / "ftrun_bad.py"
    assert (
        ftrun("plugins", "--why", "bad").output
        == f"""\
ftrun-bad 0.3: broken
  reason   failed to import: ZeroDivisionError: division by zero
  module   ftrun_bad, which is the entry point 'ftrun-bad'
  file     {file}
  API      not stated, so taken to be this ftrun's, 2.0
  Traceback (most recent call last):
    File "{file}", line 4, in <module>
      helper()
    File "{file}", line 2, in helper
      return 1 / 0
             ~~^~~
  ZeroDivisionError: division by zero
"""
    )
    assert why(ftrun, "ftrun_bad")[0]["state"] == "broken"


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        ("def x(:", ['File "{}", line 1', "def x(:", "SyntaxError: invalid syntax"]),
        (PART.replace("return [Slow]", "raise RuntimeError('out')"), ['File "{}", line 17, in ftrun_optimizers']),
        (
            "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('half') from error",
            ['File "{}", line 2', "ZeroDivisionError", "direct cause", 'File "{}", line 4', "ValueError: half"],
        ),
        (
            PART.replace('    name: Literal["slow"]', '    name: Literal["slow"]\n    lr: "Tensor"'),
            ["PydanticUndefinedAnnotation: name 'Tensor' is not defined"],
        ),
    ],
)
def test_why_shows_what_raised_and_nothing_of_ftrun(code, frames, alone, ftrun):
    install(alone, "ftrun-bad", code)
    (found,) = why(ftrun, "bad")
    for frame in frames:
        assert frame.format(alone / "ftrun_bad.py") in found["traceback"]
    for foreign in (str(Path(api.__file__).parent) + "/", "importlib", "site-packages"):
        assert foreign not in found["traceback"]


def test_why_of_a_fault_that_no_exception_is(alone, ftrun):
    install(alone, "ftrun-bad", PART.replace("def build", "def built"))
    (found,) = why(ftrun, "bad")
    assert (found["reason"], found["traceback"]) == ("Slow does not define build()", "")


def test_why_of_a_plugin_for_another_api(alone, ftrun):
    install(alone, "ftrun-slow", f'FTRUN_API = "3.0"\n{PART}')
    (found,) = why(ftrun, "ftrun-slow")
    assert (found["state"], found["api"]) == ("broken", "3.0")
    assert found["reason"].startswith("is written for ftrun's API 3.0, ")


def test_why_of_what_is_left_out(three, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", "tiny")
    (found,) = why(ftrun, "acme_parts")
    assert (found["state"], found["reason"]) == ("left out", "FTRUN_PLUGINS does not name it")
    assert found["file"] == str(three / "acme_parts.py")
    assert not was_imported()
    result = ftrun("plugins", "--why", "slower")
    assert result.exit_code == 2
    assert result.output.endswith(
        "These plugins are installed but left out by FTRUN_PLUGINS, and might offer it: Acme.Parts, ftrun-slow\n"
    )


def test_why_of_what_clashes(alone, ftrun):
    install(alone, "ftrun-one", PART)
    install(alone, "ftrun-two", PART, version="2.0")
    one, two = why(ftrun, "slow")
    assert (one["distribution"], one["state"], one["reason"]) == (
        "ftrun-one",
        "clashes",
        "ftrun-two 2.0 offers it too",
    )
    assert two["parts"][0]["clashes_with"] == ["ftrun-one 1.0"]
    assert "offered by ftrun_optimizers; clashes with ftrun-two 2.0" in ftrun("plugins", "--why", "ftrun-one").output


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ftrun-tinny", " Did you mean 'ftrun-tiny'?"),
        ("ftrun_tinny", " Did you mean 'ftrun_tiny'?"),
        ("tiny-sdg", " Did you mean 'tiny-sgd'?"),
        ("zzz", ""),
    ],
)
def test_why_of_what_is_not_installed(name, near, alone, ftrun):
    result = ftrun("plugins", "--why", name)
    message = (
        f"Error: no plugin, module, part or command named {name!r}.{near} `ftrun plugins` lists what is installed.\n"
    )
    assert (result.output, result.exit_code) == (message, 2)


def test_why_of_a_part_that_a_broken_plugin_might_offer(alone, ftrun):
    install(alone, "ftrun-bad", "1 / 0")
    result = ftrun("plugins", "--why", "slow")
    assert result.exit_code == 2
    assert "might offer it:\n  ftrun-bad 1.0: failed to import: ZeroDivisionError: division by zero\n" in result.output


def test_why_and_what_are_two_questions(alone, ftrun):
    result = ftrun("plugins", "loss", "--why", "tiny")
    message = "Error: give WHAT or --why NAME, not both: ftrun plugins --why tiny\n"
    assert (result.output, result.exit_code) == (message, 2)


def test_a_plugin_that_is_gone_is_said_to_be_so(site, ftrun):
    install(site, "ftrun-slow", PART)
    (site / "ftrun_slow.py").unlink()
    shutil.rmtree(site / "__pycache__", ignore_errors=True)
    sys.path_importer_cache.clear()
    (found,) = why(ftrun, "ftrun-slow")
    assert (found["state"], found["file"]) == ("broken", None)
    assert found["reason"] == "failed to import: ModuleNotFoundError: No module named 'ftrun_slow'"


def test_twenty_plugins_and_five_more_that_are_broken(alone, ftrun):
    """Each is explained, everything else works, and help does not even look at them."""
    for number in range(20):
        install(alone, f"ftrun-good{number}", PART.replace('"slow"', f'"slow{number}"'))
    faults = {
        "ftrun-bad0": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        "ftrun-bad1": ("def x(:", "SyntaxError: invalid syntax"),
        "ftrun-bad2": (PART.replace("ftrun_optimizers", "ftrun_optimisers"), "Did you mean 'ftrun_optimizers'?"),
        "ftrun-bad3": ('FTRUN_API = "9.0"\n' + PART, "is written for ftrun's API 9.0, and this ftrun has 2.0"),
        "ftrun-bad4": ("raise SystemExit(1)", "failed to import: SystemExit: 1"),
    }
    for distribution, (code, _) in faults.items():
        install(alone, distribution, code)
    found = listed(ftrun)
    assert len(found["plugins"]) == 21  # and the tiny one
    reasons = {each["distribution"]: each["reason"] for each in found["broken"]}
    for distribution, (_, cause) in faults.items():
        assert cause in reasons[distribution]
        assert cause in ftrun("plugins", "--why", distribution).output
    assert ftrun("--help").exit_code == 0
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow7"))).exit_code == 0
