"""Installed plugins, as real distributions: the good ones, the broken ones with their cause, the clashing ones."""

import json

import pytest
from support import install, tiny_spec, write_spec

PART = '''
from typing import Literal
from pydantic import Field
import ftrun

class Slow(ftrun.Optimizer):
    """Takes its time."""

    name: Literal["slow"]
    lr: float = Field(0.5, gt=0, description="Learning rate.")

    def build(self, params):
        import torch

        return torch.optim.SGD(params, lr=self.lr)
'''
HOOK = """
@ftrun.hookimpl
def ftrun_optimizers():
    return [Slow]
"""
GOOD = PART + HOOK


def plugins(ftrun):
    result = ftrun("plugins", "--json")
    assert result.exit_code == 0
    return json.loads(result.output)


def reason(ftrun, distribution):
    (broken,) = [each for each in plugins(ftrun)["broken"] if each["distribution"] == distribution]
    return broken["reason"]


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


BROKEN = {
    "missing module": (
        "import nowhere_to_be_found",
        "failed to import: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "fault at import": ("1 / 0", "failed to import: ZeroDivisionError: division by zero"),
    "fault without words": ("raise KeyError", "failed to import: KeyError"),
    "exit at import": ("raise SystemExit(0)", "failed to import: SystemExit: 0"),
    "syntax": ("def x(:", "failed to import: SyntaxError: invalid syntax (ftrun_bad.py, line 1)"),
    "hook misspelt": (
        changed("ftrun_optimizers", "ftrun_optimisers"),
        "no hook named 'ftrun_optimisers'. Did you mean 'ftrun_optimizers'?",
    ),
    "hook misspelt and unmarked": (
        changed("@ftrun.hookimpl\ndef ftrun_optimizers", "def ftrun_optimisers"),
        "no hook named 'ftrun_optimisers'. Did you mean 'ftrun_optimizers'?",
    ),
    "hook like no other": (changed("ftrun_optimizers", "zzz"), "no hook named 'zzz'."),
    "hook unmarked": (
        changed("@ftrun.hookimpl", ""),
        "ftrun_optimizers is not marked with @ftrun.hookimpl, so it would never be called",
    ),
    "hook with an argument": (
        changed("ftrun_optimizers()", "ftrun_optimizers(config)"),
        "ftrun_optimizers takes no argument 'config': hooks that offer parts have none",
    ),
    "hook with a default": (
        changed("ftrun_optimizers()", "ftrun_optimizers(config=None)"),
        "ftrun_optimizers takes no argument 'config': hooks that offer parts have none",
    ),
    "lifecycle hook": (
        GOOD + "\n@ftrun.hookimpl\ndef ftrun_after_epoch(epoch): pass\n",
        "ftrun_after_epoch belongs on the object that an observer builds, not on a plugin's module",
    ),
    "hook that raises": (
        changed("return [Slow]", "raise RuntimeError('out of parts')"),
        "ftrun_optimizers failed: RuntimeError: out of parts",
    ),
    "hook that exits": (changed("return [Slow]", "exit(3)"), "ftrun_optimizers failed: SystemExit: 3"),
    "hook that gives nothing": (
        changed("return [Slow]", "pass"),
        "ftrun_optimizers failed: TypeError: 'NoneType' object is not iterable",
    ),
    "an instance": (
        changed("return [Slow]", "return [Slow(name='slow')]"),
        "ftrun_optimizers must offer subclasses of ftrun.Optimizer, not Slow(name='slow', lr=0.5)",
    ),
    "no part": (
        changed("return [Slow]", "return ['slow']"),
        "ftrun_optimizers must offer subclasses of ftrun.Optimizer, not 'slow'",
    ),
    "another role": (
        changed("def ftrun_optimizers", "def ftrun_losses"),
        "ftrun_losses must offer subclasses of ftrun.Loss, not <class 'ftrun_bad.Slow'>",
    ),
    "no name": (
        changed('    name: Literal["slow"]\n', ""),
        'Slow has no name: give it `name: Literal["..."]`',
    ),
    "name with a default": (
        changed('Literal["slow"]', 'Literal["slow"] = "slow"'),
        "Slow: its name must have no default, for a spec always gives it",
    ),
    "bad name": (
        changed('"slow"', '"Slow Down"'),
        "Slow: a name is lower-case letters, digits, '-', '_' and '.', unlike 'Slow Down'",
    ),
    "bad family": (
        changed('    name: Literal["slow"]', '    family = "model"\n    name: Literal["slow"]'),
        "Slow: family is 'model', but it has no such option",
    ),
    "an exporter whose files end in nothing": (
        changed("ftrun.Optimizer", "ftrun.Exporter").replace("ftrun_optimizers", "ftrun_exporters"),
        'Slow does not say how its files end: give it `suffix = ".bin"`',
    ),
    "a backbone that takes nothing": (
        changed("ftrun.Optimizer", "ftrun.Backbone").replace("ftrun_optimizers", "ftrun_backbones"),
        "Slow does not say what its nets take: give it `input_type`, an ftrun.InputSpec class",
    ),
    "no build": (changed("def build", "def built"), "Slow does not define build()"),
    "the same name twice": (changed("[Slow]", "[Slow, Slow]"), "ftrun_optimizers offers 'slow' twice"),
}


UNCHECKED = {
    "an option of an unknown type": (
        changed("lr: float", 'lr: "Tensor"'),
        "Slow: its options cannot be checked: PydanticUndefinedAnnotation: name 'Tensor' is not defined",
    ),
    "an option that is no JSON": (
        "from collections.abc import Callable\n" + changed("lr: float", "lr: Callable"),
        "Slow: its options cannot be checked: PydanticInvalidForJsonSchema: ",
    ),
}
"""Plugins with an option that pydantic can do nothing with: to find out takes long, and is left until it matters."""


@pytest.mark.parametrize("fault", UNCHECKED)
def test_a_part_whose_options_cannot_be_checked_stops_only_what_needs_them(fault, site, ftrun, monkeypatch):
    code, cause = UNCHECKED[fault]
    install(site, "ftrun-bad", code, version="0.3")
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0
    assert "Slow" not in ftrun("schema").output
    assert "ftrun-bad" not in ftrun("plugins", "optimizer").output
    result = ftrun("check", write_spec(tiny_spec(optimizer={"name": "slow", "lr": 1})))
    if fault == "an option of an unknown type":
        assert (result.exit_code, f"ftrun-bad 0.3: {cause}" in result.output) == (3, True)
    monkeypatch.setenv("FTRUN_STRICT_PLUGINS", "1")
    result = ftrun("plugins")
    assert (result.exit_code, f"ftrun-bad 0.3: {cause}" in result.output) == (3, True)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_listed_with_its_cause(fault, site, ftrun):
    code, cause = BROKEN[fault]
    install(site, "ftrun-bad", code, version="0.3")
    assert reason(ftrun, "ftrun-bad").startswith(cause)
    assert reason(ftrun, "ftrun-bad") == cause or cause.endswith(": ")
    text = ftrun("plugins").output
    assert f"ftrun-bad 0.3: BROKEN\n  ftrun_bad {cause.rstrip()}" in text
    assert "tiny-sgd" in text
    assert "ftrun-bad" not in ftrun("plugins", "optimizer").output


def test_a_broken_plugin_stops_only_a_spec_that_needs_it(alone, ftrun):
    install(alone, "ftrun-bad", "import nowhere_to_be_found\n" + GOOD, version="0.3")
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0
    assert ftrun(write_spec(tiny_spec(train={"epochs": 1}))).exit_code == 0
    assert ftrun("schema").exit_code == 0

    result = ftrun("check", write_spec(tiny_spec(optimizer="slow")))
    assert result.exit_code == 3
    assert (
        result.output
        == """\
Error: spec.json: optimizer: no optimizer named 'slow'. Installed: tiny-sgd.
These plugins are installed but broken, and might offer it:
  ftrun-bad 0.3: failed to import: ModuleNotFoundError: No module named 'nowhere_to_be_found'
"""
    )

    # A slip of the pen is the spec's fault, whatever else is broken; so is any other mistake.
    result = ftrun("check", write_spec(tiny_spec(optimizer="tiny-sdg", seed=-1)))
    assert result.exit_code == 2
    assert "broken" not in result.output


@pytest.mark.parametrize(
    ("entry_point", "cause"),
    [
        ("ftrun_bad:missing", "failed to import: AttributeError: module 'ftrun_bad' has no attribute 'missing'"),
        ("ftrun_bad:Slow", "its entry point must name a module, but 'ftrun_bad:Slow' is something else"),
        ("not_there", "failed to import: ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_an_entry_point_that_names_no_module(entry_point, cause, site, ftrun):
    install(site, "ftrun-bad", GOOD)
    (site / "ftrun_bad-1.0.dist-info" / "entry_points.txt").write_text(f"[ftrun]\nbad = {entry_point}\n")
    assert reason(ftrun, "ftrun-bad") == cause


def test_metadata_without_name_and_version(site, ftrun):
    install(site, "ftrun-slow", GOOD)
    (site / "ftrun_slow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n")
    (plugin,) = [each for each in plugins(ftrun)["plugins"] if each["distribution"] == "(unnamed)"]
    assert plugin["version"] == "(no version)"
    assert [part["name"] for part in plugin["parts"]] == ["slow"]
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0


def test_two_distributions_with_the_same_entry_point_name_both_load(site, ftrun):
    install(site, "ftrun-one", GOOD, module="module_one")
    install(site, "ftrun-two", GOOD.replace('"slow"', '"slower"'), module="module_two")
    for distribution, module in (("one", "module_one"), ("two", "module_two")):
        file = site / f"ftrun_{distribution}-1.0.dist-info" / "entry_points.txt"
        file.write_text(f"[ftrun]\noptimizers = {module}\n")
    for part in ("slow", "slower"):
        assert ftrun("check", write_spec(tiny_spec(optimizer=part))).exit_code == 0


def test_a_name_that_two_distributions_offer(site, ftrun):
    install(site, "ftrun-one", GOOD, version="1.0")
    install(site, "ftrun-two", GOOD, version="2.0")
    message = (
        "optimizer 'slow' comes from both ftrun-one 1.0 and ftrun-two 2.0. "
        "Uninstall one of them: pip uninstall ftrun-one, or pip uninstall ftrun-two. "
        'To keep both, say which one is meant: "ftrun-one:slow" or "ftrun-two:slow".'
    )
    for spec in (tiny_spec(optimizer="slow"), tiny_spec(optimizer={"name": "slow", "lr": 1}, seed=-1)):
        for command in ("check", "run"):
            result = ftrun(command, write_spec(spec))
            assert (result.output, result.exit_code) == (f"Error: optimizer: {message}\n", 3)
    result = ftrun("plugins", "slow")
    assert (result.output, result.exit_code) == (f"Error: {message}\n", 3)
    assert ftrun("check", write_spec(tiny_spec())).exit_code == 0
    assert "CLASH: optimizer 'slow' comes from both ftrun-one 1.0 and ftrun-two 2.0" in ftrun("plugins").output
    assert plugins(ftrun)["clashes"] == [
        {"role": "optimizer", "name": "slow", "plugins": ["ftrun-one 1.0", "ftrun-two 2.0"]}
    ]


def test_one_name_in_two_roles_is_no_clash(site, ftrun):
    install(site, "ftrun-sgd", GOOD.replace('"slow"', '"tiny"'))
    assert plugins(ftrun)["clashes"] == []
    result = ftrun("check", write_spec(tiny_spec(optimizer="tiny")))
    assert result.exit_code == 0, result.output
    listed = json.loads(ftrun("plugins", "tiny", "--json").output)
    assert [each["role"] for each in listed] == ["dataset", "backbone", "optimizer"]


def test_members_that_only_look_like_hooks_are_left_alone(site, ftrun):
    code = "from unittest.mock import call\nftrun_losses_note = 'text'\ndef helper(): pass\n" + GOOD
    install(site, "ftrun-slow", code)
    assert ftrun("check", write_spec(tiny_spec(optimizer="slow"))).exit_code == 0


def test_a_plugin_works_with_nothing_but_being_installed(site, ftrun):
    install(site, "ftrun-slow", GOOD)
    result = ftrun(write_spec(tiny_spec(optimizer={"name": "slow", "lr": 0.01})))
    assert result.exit_code == 0, result.output


# Listings


def test_the_listing(alone, ftrun):
    install(alone, "ftrun-slow", GOOD, version="2.1")
    assert (
        ftrun("plugins").output
        == """\
ftrun-slow 2.1
  optimizer  slow  Takes its time.
ftrun-tiny 1.0
  dataset    tiny       Grey images, 8x8, whose class shows as brightness.
  backbone   tiny       One convolution with batch normalisation.
  loss       tiny-loss  Cross-entropy.
  optimizer  tiny-sgd   Plain gradient descent.
  observer   recorder   Writes what it is called with to a file, and fails where it is told to.
"""
    )
    assert plugins(ftrun)["plugins"][0] == {
        "distribution": "ftrun-slow",
        "version": "2.1",
        "parts": [{"role": "optimizer", "name": "slow", "summary": "Takes its time."}],
        "commands": [],
        "warnings": [],
    }


def test_nothing_installed(alone, ftrun):
    for file in (alone / "ftrun_tiny-1.0.dist-info").iterdir():
        file.unlink()
    (alone / "ftrun_tiny-1.0.dist-info").rmdir()
    hint = 'pip install "ftrun[all]" brings ftrun\'s own'
    assert ftrun("plugins").output == f"No plugins are installed: {hint}.\n"
    assert ftrun("plugins", "loss").output == "None installed.\n"
    assert ftrun("schema").exit_code == 0
    result = ftrun("check", write_spec({}))
    assert result.exit_code == 3
    assert f"  dataset: is required. No dataset is installed: {hint} plugins.\n" in result.output


def test_the_options_of_a_role_and_of_a_part(alone, ftrun):
    install(alone, "ftrun-slow", GOOD)
    slow = """\
slow  (optimizer, from ftrun-slow 1.0)
  Takes its time.
    lr  number > 0  default 0.5  Learning rate.
"""
    tiny = """\
tiny-sgd  (optimizer, from ftrun-tiny 1.0)
  Plain gradient descent.
    lr        number > 0           default 0.1  Learning rate.
    momentum  number >= 0 and < 1  default 0.9  Momentum factor.
"""
    assert ftrun("plugins", "optimizer").output == f"{slow}\n{tiny}"
    assert ftrun("plugins", "optimizers").output == f"{slow}\n{tiny}"
    assert ftrun("plugins", "slow").output == slow
    (listed,) = json.loads(ftrun("plugins", "slow", "--json").output)
    assert listed == {
        "name": "slow",
        "role": "optimizer",
        "key": "optimizer",
        "distribution": "ftrun-slow",
        "version": "1.0",
        "summary": "Takes its time.",
        "description": "Takes its time.",
        "options": [
            {
                "name": "lr",
                "type": "number > 0",
                "required": False,
                "default": 0.5,
                "description": "Learning rate.",
            }
        ],
    }


@pytest.mark.parametrize(
    ("what", "hint"), [("tiny-sdg", " Did you mean 'tiny-sgd'?"), ("backbon", " Did you mean 'backbone'?"), ("qq", "")]
)
def test_options_of_what_is_not_there(what, hint, alone, ftrun):
    result = ftrun("plugins", what)
    assert result.exit_code == 2
    assert result.output == (
        f"Error: no role and no part named '{what}'.{hint} Roles: dataset, target, sampler, backbone, modifier, head, "
        "augmentation, loss, objective, optimizer, scheduler, metric, recipe, observer, exporter, hub. `ftrun plugins` "
        "lists all parts.\n"
    )


def test_every_part_and_every_option_is_described(ftrun):
    """Of ftrun's own plugins: a listing with a blank in it helps nobody."""
    offered = {(part["role"], part["name"]) for plugin in plugins(ftrun)["plugins"] for part in plugin["parts"]}
    listed = [
        each for role in {role for role, _ in offered} for each in json.loads(ftrun("plugins", role, "--json").output)
    ]
    assert {(each["role"], each["name"]) for each in listed} == offered
    for part in listed:
        assert part["summary"].endswith("."), part
        for option in part["options"]:
            assert option["description"].endswith("."), (part["name"], option)
    assert plugins(ftrun)["broken"] == plugins(ftrun)["clashes"] == []
