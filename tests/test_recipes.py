"""A spec of a dataset and a backbone is whole; with minutes, it is planned, and the plan is kept to."""

import json

import pytest
from support import StopAt

from ftrun import PluginError, SpecError
from ftrun.devtools import RunFolder, check_spec, load_plugins, resume
from ftrun.devtools import run as run_request
from ftrun.train.preview import preview
from ftrun_devkit import run_command, tiny_run
from ftrun_devkit.run import catalogue_with, tiny_spec

SHORT = {"precision": "fp32", "memory_format": "contiguous", "workers": 0}
BARE = {"loss": None, "optimizer": None}


def resolved(run):
    return json.loads((run.folder / "resolved.json").read_text())


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A run of dataset and backbone alone, of a few epochs."""
    return tiny_run(tmp_path_factory.mktemp("bare"), **BARE, train={"epochs": 3, **SHORT})


def test_a_spec_of_dataset_and_backbone_is_whole(bare):
    spec, recipe = resolved(bare)["spec"], resolved(bare)["recipe"]
    assert spec["loss"]["name"] == "cross-entropy"
    assert spec["optimizer"]["name"] == "adamw"
    assert [phase["freeze"] for phase in spec["train"]["phases"]] == ["features", None]
    assert spec["train"]["epochs"] == 3, "the user's"
    assert [each["name"] for each in spec["metrics"]] == ["accuracy", "f1"]
    assert recipe["part"] == {"name": "full"}
    assert recipe["filled"]["loss"] == spec["loss"]
    assert "epochs" not in recipe["filled"]["train"]
    assert set(recipe["why"]) <= {"loss", "optimizer", "train.batch_size", "train.phases"}
    (line,) = [line for line in bare.log.splitlines() if "recipe full: " in line]
    assert line.endswith(recipe["summary"])
    assert "the head alone for 1 epoch, then everything for 2 epochs, at 0.1 of the rate" in line


def test_the_whole_spec_is_recorded_and_no_recipe_asked_again(bare, tmp_path):
    spec = resolved(bare)["spec"]
    assert spec["recipe"] is None
    without = [each for each in load_plugins() if each.distribution != "ftrun-recipes"]
    assert check_spec(spec, catalogue_with(without)).resolved() == spec
    again = tiny_run(tmp_path, plugins=without, **spec)
    assert again.results["val"] == bare.results["val"]
    assert resolved(again)["recipe"] is None


def test_a_spec_that_leaves_nothing_out_has_no_recipe():
    catalogue = catalogue_with()
    assert check_spec(tiny_spec(), catalogue).recipe is None
    assert check_spec(tiny_spec(loss=None), catalogue).recipe.name == "full"
    assert check_spec(tiny_spec(recipe="probe"), catalogue).recipe.name == "probe"
    assert check_spec(tiny_spec(train={"minutes": 1}), catalogue).recipe.name == "full"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"minutes": 1, "epochs": 2}}, "minutes says how long to train, and so does epochs"),
        ({"train": {"minutes": 1, "phases": [{"epochs": 2}]}}, "so does phases"),
        ({"train": {"minutes": 1}, "recipe": None}, 'train.minutes: needs a recipe, which plans the time: name one'),
        ({"train": {"time_limit": 1}}, "Did you mean 'minutes'?"),
        ({"recipe": "ful"}, "recipe: no recipe named 'ful'. Did you mean 'full'?"),
    ],
)  # fmt: skip
def test_mistakes_about_recipes(changes, message):
    with pytest.raises(SpecError) as raised:
        check_spec({**tiny_spec(), **changes}, catalogue_with())
    assert message in str(raised.value)


def test_where_no_recipe_is_installed_a_message_says_what_to_install():
    without = [each for each in load_plugins() if each.distribution != "ftrun-recipes"]
    with pytest.raises(SpecError, match=r"loss: is required, where no recipe is installed .*pip install ftrun-recipes"):
        check_spec(tiny_spec(loss=None), catalogue_with(without))


def test_schema_and_check_agree_that_loss_and_optimizer_may_be_left_out():
    from jsonschema import Draft202012Validator

    from ftrun.spec.model import json_schema

    validator = Draft202012Validator(json_schema(catalogue_with()))
    validator.validate({"backbone": "tiny-net"})
    validator.validate({"backbone": "tiny-net", "train": {"minutes": 0.5}, "recipe": "quick"})
    validator.validate(tiny_spec(train={"phases": [{"epochs": 0.5}]}))
    assert not validator.is_valid({"loss": "mse"})


PLANNED = {**BARE, "recipe": "quick", "dataset": {"name": "tiny-images", "samples": 400}, "input": {"size": 16}}


def test_a_run_that_has_minutes_is_planned_broken_off_and_ends_in_time(tmp_path):
    from ftrun.contracts.errors import Interrupted
    from ftrun.devtools import Request

    spec = {**tiny_spec(**PLANNED), "train": {"minutes": 0.08, **SHORT}}
    catalogue = catalogue_with()
    request = Request(
        check_spec(spec, catalogue),
        "a",
        json.dumps(spec),
        (),
        catalogue,
        tmp_path / "run",
        "cpu",
        with_plugins=False,
    )
    with pytest.raises(Interrupted):
        run_request(request, StopAt(1))
    folder = tmp_path / "run"
    planned = json.loads((folder / "resolved.json").read_text())
    assert planned["recipe"]["minutes"] == 0.08
    assert planned["spec"]["train"]["minutes"] is None
    assert set(planned["recipe"]["costs"]) >= {"step", "epoch", "begin", "end"}
    without = [each for each in load_plugins() if each.distribution != "ftrun-recipes"]
    results = resume(RunFolder.existing(folder), catalogue_with(without), None, "cpu", with_plugins=False)
    assert results["seconds"]["total"] > 0
    now = json.loads((folder / "resolved.json").read_text())
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert now["recipe"]["costs"] == planned["recipe"]["costs"], "nothing is measured anew"
    assert now["spec"]["train"]["epochs"] == len(history)
    assert len(now["spec"]["train"]["phases"]) == len(planned["spec"]["train"]["phases"])
    state = json.loads((folder / "status.json").read_text())
    assert (state["state"], state["reason"]) == ("finished", "")
    longer = resume(RunFolder.existing(folder), catalogue, len(history) + 2, "cpu", with_plugins=False)
    extended = json.loads((folder / "resolved.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert longer["best_epoch"] <= len(lines) == extended["spec"]["train"]["epochs"] == len(history) + 2
    assert lines[-1]["step"] == history[-1]["step"] + 2 * now["steps_per_epoch"]
    assert extended["recipe"]["minutes"] is None, "its time is no limit any more"


def test_a_plan_for_what_data_depends_on_is_refused(tmp_path):
    parts = """
import ftrun
from typing import Literal

class Greedy(ftrun.Recipe):
    "Wants another batch size."
    name: Literal["greedy"]

    def build(self, facts):
        return ftrun.Filled({"loss": "tiny-cross-entropy", "optimizer": "tiny-descent"})

    def plan(self, facts, pace):
        return ftrun.Filled({"input": {"size": 4}})

@ftrun.hookimpl
def ftrun_recipes():
    return [Greedy]
"""
    (tmp_path / "greedy.py").write_text(parts)
    from ftrun.plugins.load import load_local
    from ftrun.plugins.localparts import PartsFile

    plugins = [*load_plugins(), load_local(PartsFile.read(tmp_path / "greedy.py"))]
    with pytest.raises(PluginError, match=r"recipe: 'greedy' .*plan\(\) gives the key 'input', but may give optimizer"):
        tiny_run(tmp_path, plugins=plugins, **BARE, recipe="greedy", train={"minutes": 0.05, **SHORT})


def spec_file(folder, **changes):
    file = folder / "a.json"
    file.write_text(
        json.dumps({"dataset": "digits", "backbone": "efficientnet-lite0", "input": {"size": 32}, **changes})
    )
    return file


def test_check_shows_what_a_recipe_means_here(tmp_path):
    result = run_command("check", spec_file(tmp_path, train={"minutes": 2}), "--json")
    shown = json.loads(result.stdout)
    assert shown["recipe"]["minutes"] == 2
    assert shown["spec"]["optimizer"]["name"] == "adamw"
    assert shown["recipe"]["summary"].startswith("cross-entropy, adamw at 0.001, cosine; everything for 12 epochs")
    assert shown["warnings"] == []
    spec = {"dataset": "digits", "backbone": "efficientnet-lite0", "input": {"size": 32}, "train": {"minutes": 2}}
    lines = preview(check_spec(spec, catalogue_with()), catalogue_with()).lines
    assert lines[0] == "the dataset digits was listed for the recipe: 1,295 training samples"
    assert lines[1] == f"recipe full: {shown['recipe']['summary']}"
    assert lines[2].startswith("epochs are fitted to 2 minutes")
    assert lines[3] == "  loss: what each kind of target has"


def test_a_spec_is_valid_where_its_data_is_not_here(tmp_path):
    elsewhere = {"name": "image-folder", "path": str(tmp_path / "no-such")}
    result = run_command("check", spec_file(tmp_path, dataset=elsewhere))
    assert result.exit_code == 0
    assert "recipe full depends on the data, which cannot be had here: There is no folder" in result.stdout


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"optimizer": {"name": "adamw", "lr": 0.1}}, "optimizer.lr: adamw at 0.1 is far above the rates of Eff"),
        ({"optimizer": {"name": "adamw", "lr": 1e-6}}, "optimizer.lr: adamw at 1e-06 is far below the rates of Eff"),
        ({"optimizer": {"name": "adamw", "lr": 0.001}}, None),
        ({"optimizer": {"name": "sgd", "lr": 0.1}}, None),
        (
            {
                "optimizer": {"name": "adamw", "lr": 0.1},
                "train": {"phases": [{"epochs": 1, "freeze": "features"}, {"epochs": 1}]},
            },
            "train.phases.1: adamw at 0.1 is far above",
        ),
    ],
)
def test_a_rate_far_out_of_the_backbone_s_range_is_warned_about(tmp_path, options, warning):
    file = spec_file(tmp_path, loss="cross-entropy", **options)
    warnings = [line for line in run_command("check", file).stdout.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == (warning is not None)
    assert warning is None or warnings[0].startswith(f"WARNING: {warning}")
    assert len(json.loads(run_command("check", file, "--json").stdout)["warnings"]) == len(warnings)
