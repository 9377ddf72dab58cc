"""Parts in parts, parts that agree with others, and parts whose name two plugins offer."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support import install, tiny_spec, write_spec

from ftrun.plugins.catalogue import installed
from ftrun.spec.check import check_spec

CODE = (Path(__file__).parent / "distributions" / "ftrun_nested.py").read_text()
LOOKAHEAD = {"name": "lookahead", "of": {"name": "tiny-sgd", "lr": 0.05}}
SUM = {"name": "sum", "losses": ["tiny-loss", {"name": "cross-entropy", "label_smoothing": 0.1}], "also": {"x": "mse"}}
TILTED = """
from typing import Literal
import ftrun

class Tilted(ftrun.Loss):
    '''Another loss.'''
    name: Literal["tilted"]
    gamma: float = {gamma}

    def build(self, target, values):
        import torch
        return torch.nn.CrossEntropyLoss()

@ftrun.hookimpl
def ftrun_losses():
    return [Tilted]
"""


@pytest.fixture
def nested(site):
    install(site, "ftrun-nested", CODE)


def test_a_run_with_parts_in_parts(nested, ftrun):
    """Written as parts are anywhere, recorded with all defaults, listed with their distributions, and resumed."""
    spec = tiny_spec(optimizer=LOOKAHEAD, loss=SUM)
    assert ftrun(write_spec(spec), "--out", "run").exit_code == 0
    resolved = json.loads(Path("run/resolved.json").read_text())
    of = {"name": "tiny-sgd", "lr": 0.05, "momentum": 0.9}
    assert resolved["spec"]["optimizer"] == {"name": "lookahead", "of": of, "rate": 0.5}
    assert resolved["spec"]["loss"]["also"] == {"x": {"name": "mse"}}
    listed = {each["part"]: (each["role"], each["name"], each["distribution"]) for each in resolved["plugins"]}
    assert listed["optimizer"] == ("optimizer", "lookahead", "ftrun-nested")
    assert listed["optimizer.of"] == ("optimizer", "tiny-sgd", "ftrun-tiny")
    assert listed["loss.losses.1"] == ("loss", "cross-entropy", "ftrun-losses")
    assert listed["loss.also.x"] == ("loss", "mse", "ftrun-losses")
    result = ftrun("resume", "run", "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert ftrun("evaluate", "run").exit_code == 0


def test_by_name_by_family_and_by_set(nested, ftrun):
    deep = {"name": "lookahead", "of": {"name": "lookahead", "of": "tiny-sgd"}}
    check = check_spec(tiny_spec(optimizer=deep), installed(), overrides=["optimizer.of.of.lr=0.01"])
    assert check.optimizer.of.of.lr == 0.01
    assert [where for where, _ in check.every_part() if where.startswith("opt")] == [
        "optimizer",
        "optimizer.of",
        "optimizer.of.of",
    ]


def held(**options):
    return {"optimizer": {"name": "lookahead", "of": {"name": "tiny-sgd", **options}}}


NO_SUCH = "optimizer.of: no optimizer named"
MISTAKES = {
    "bound": (held(lr=-1), "optimizer.of.lr: must be greater"),
    "option": (held(lrr=1), "optimizer.of.lrr: no such option. Did you mean 'lr'? Options of tiny-sgd: lr, momentum."),
    "name": (held(name="tiny-sdg"), f"{NO_SUCH} 'tiny-sdg'. Did you mean 'tiny-sgd'?"),
    "number": ({"optimizer": {"name": "lookahead", "of": 7}}, "optimizer.of: must be a name or an object such as"),
    "role": ({"optimizer": {"name": "lookahead", "of": "cross-entropy"}}, f"{NO_SUCH} 'cross-entropy'."),
    "required": ({"optimizer": {"name": "lookahead"}}, "optimizer.of: is required."),
    "list": ({"loss": {"name": "sum", "losses": ["mse", {"name": "mse", "x": 1}]}}, "loss.losses.1.x: no such option."),
    "agrees": (
        {"loss": {"name": "sum", "losses": ["tiny-loss"], "weights": {"mse": 2.0}}},
        "loss: weights: 'mse' is none of tiny-loss.",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_say_where(nested, ftrun, changes, message):
    result = ftrun("check", write_spec(tiny_spec(**changes)))
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_what_a_nested_part_raises_has_its_place(nested, ftrun):
    result = ftrun(write_spec(tiny_spec(optimizer={"name": "lookahead", "of": "fails"})), "--out", "run")
    assert result.exit_code == 2
    assert "optimizer.of: not like this." in result.output
    with pytest.raises(ZeroDivisionError) as raised:
        ftrun(write_spec(tiny_spec(optimizer={"name": "lookahead", "of": {"name": "fails", "how": "oops"}})))
    assert raised.value.__notes__ == ["in optimizer.of, 'fails' of ftrun-nested 1.0"]


def test_the_schema_knows_parts_in_parts(nested, ftrun):
    schema = json.loads(ftrun("schema").output)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tiny_spec(optimizer=LOOKAHEAD, loss=SUM), schema)
    for wrong in ({"name": "tiny-sgd", "lr": -1}, {"name": "tiny-sgd", "x": 1}, "nothing", {"name": "lookahead"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tiny_spec(optimizer={"name": "lookahead", "of": wrong}), schema)


def test_plugins_shows_them(nested, ftrun):
    (part,) = json.loads(ftrun("plugins", "lookahead", "--json").output)
    assert part["options"][0] == {"name": "of", "type": "optimizer", "required": True, "description": "The optimizer."}
    (part,) = json.loads(ftrun("plugins", "sum", "--json").output)
    assert [each["type"] for each in part["options"]] == ["list of loss", "object of number", "object of loss"]


def test_they_keep_the_contract(nested, ftrun):
    result = ftrun(
        *("check-plugin", "ftrun-nested", "--json", "--set", 'lookahead.of="sgd"', "--set", 'sum.losses=["mse"]')
    )
    ours = [each for each in json.loads(result.stdout) if each["part"] in ("lookahead", "sum")]
    assert len(ours) > 10
    assert not [each for each in ours if not each["passed"]]


# Agreement


@pytest.mark.parametrize("raises", [False, True])
def test_a_part_that_does_not_agree_with_others(nested, ftrun, raises):
    spec = tiny_spec(scheduler={"name": "careful", "raises": raises}, train={"epochs": 1, "batch_size": 32})
    for command in (("check",), ()):
        result = ftrun(*command, write_spec(spec))
        assert result.exit_code == 2
        assert "scheduler: it is for batches of at most 16, and train.batch_size is 32." in result.output
    spec["train"]["batch_size"] = 16
    assert ftrun("check", write_spec(spec)).exit_code == 0


def test_it_is_asked_without_torch(nested, site):
    path = write_spec(tiny_spec(scheduler="careful", train={"epochs": 1, "batch_size": 32}))
    code = f"""
import json, sys
from pathlib import Path
from ftrun.plugins.catalogue import installed
from ftrun.spec.check import InvalidSpec, check_spec
try:
    check_spec(json.loads(Path({str(path)!r}).read_text()), installed())
except InvalidSpec as error:
    print(error)
print("torch" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "at most 16" in run.stdout
    assert run.stdout.splitlines()[-1] == "False"


# Clashes


@pytest.fixture
def two_tilted(site):
    for number, distribution in enumerate(("ftrun-tilted", "ftrun-other")):
        install(site, distribution, TILTED.format(gamma=f"{number}.0"))


def test_a_clash_is_settled_by_the_distribution(two_tilted, ftrun):
    result = ftrun("check", write_spec(tiny_spec(loss="tilted")))
    assert result.exit_code == 3
    assert 'say which one is meant: "ftrun-other:tilted" or "ftrun-tilted:tilted".' in result.output
    spec = write_spec(tiny_spec(loss={"name": "ftrun-other:tilted"}, metrics=["accuracy"]))
    assert ftrun(spec, "--out", "run").exit_code == 0
    resolved = json.loads(Path("run/resolved.json").read_text())
    assert resolved["spec"]["loss"] == {"name": "ftrun-other:tilted", "gamma": 1.0}
    named = next(each for each in resolved["plugins"] if each["part"] == "loss")
    assert (named["name"], named["distribution"]) == ("ftrun-other:tilted", "ftrun-other")
    assert ftrun("resume", "run", "--epochs", "3").exit_code == 0
    assert ftrun("evaluate", "run").exit_code == 0
    result = ftrun("check", write_spec(tiny_spec(loss="ftrun-othr:tilted")))
    assert "Did you mean 'ftrun-other:tilted'?" in result.output
    schema = json.loads(ftrun("schema").output)
    jsonschema.validate(tiny_spec(loss="ftrun-other:tilted"), schema)


def test_both_in_one_spec(two_tilted, nested, ftrun):
    loss = {"name": "sum", "losses": ["ftrun-tilted:tilted", "ftrun-other:tilted"]}
    spec = check_spec(tiny_spec(loss=loss), installed())
    assert [each.gamma for each in spec.loss.losses] == [0.0, 1.0]


def test_a_name_with_its_distribution_needs_no_clash(nested):
    spec = check_spec(tiny_spec(optimizer="ftrun-tiny:tiny-sgd", backbone="ftrun-tiny:tiny"), installed())
    assert spec.optimizer.name == "ftrun-tiny:tiny-sgd"
    again = pickle.loads(pickle.dumps(spec.optimizer))
    assert again == spec.optimizer
    assert type(again) is type(spec.optimizer)


def test_a_family_with_its_distribution(site):
    spec = check_spec(tiny_spec(backbone="ftrun-torchvision:torchvision/resnet18"), installed())
    assert (spec.backbone.name, spec.backbone.model) == ("ftrun-torchvision:torchvision", "resnet18")


def test_a_metric_s_key_is_without_its_distribution(site):
    spec = check_spec(tiny_spec(metrics=["ftrun-metrics:accuracy"]), installed())
    assert spec.metrics[0].key == "accuracy"
