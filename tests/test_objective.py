"""An objective: its loss, its parts, its state, its teacher and its views, on the way through a run."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import install, tiny_spec, write_spec
from test_resume import at_every_step, go_on, outcome, start

from ftrun.contracts.errors import FtrunError
from ftrun.inference.evaluation import evaluate_run
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.folder import RunFolder
from ftrun.runs.progress import Progress
from ftrun.spec.check import check_spec
from ftrun.train import memory
from ftrun.train.assemble import assemble

CODE = (Path(__file__).parent / "distributions" / "ftrun_objectives.py").read_text()


@pytest.fixture
def objectives(site) -> Catalogue:
    install(site, "ftrun-objectives", CODE)
    return installed()


def spec_with(objective, **changes):
    """Of 2 epochs of 3 steps."""
    train = {"batch_size": 8, "precision": "fp32", **changes.pop("train", {})}
    train = train if "phases" in train else {"epochs": 2, **train}
    dataset = {"name": "tiny", "samples": 20, "val": True}
    return tiny_spec(dataset=dataset, objective=objective, metrics=["accuracy"], train=train, **changes)


def job_of(spec, catalogue):
    return assemble(check_spec(spec, catalogue), torch.device("cpu"))


def history(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("seconds/")} for line in lines]


def test_supervised_by_name_is_what_a_spec_without_objective_has(site):
    """To the bit, recorded metrics and weights; and the spec says nothing more than before."""
    runs = [start(spec_with(each), Path(name), installed()) for each, name in ((None, "a"), ("supervised", "b"))]
    assert history(runs[0]) == history(runs[1])
    one, two = (load_file(run / "checkpoints" / "last" / "model.safetensors") for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_is_resumed_to_the_bit_from_any_step_and_evaluated_to_the_same_values(objectives):
    folder, copies = at_every_step(spec_with("stateful-objective"), Path.cwd(), objectives)
    expected = outcome(folder)
    results = json.loads((folder / "results.json").read_text())
    again = evaluate_run(RunFolder(folder), None, None, "cpu")
    assert {split: again[split] for split in ("val", "test")} == {split: results[split] for split in ("val", "test")}
    for copy in (copies[1], copies[4]):
        assert outcome(go_on(copy, objectives)) == expected
    state = load_file(folder / "checkpoints" / "last" / "net.safetensors")
    assert int(state["objective.steps"]) == 6
    assert {"objective.temperature", "objective.queue", "objective.teacher.model.0.weight"} <= set(state)
    assert "objective._extra_state.last" in state
    assert float(state["objective.temperature"]) != 0
    for path in folder.rglob("*.json"):
        assert path.stat().st_size < 10_000, path
    assert set(history(folder)[0]) >= {"train/loss", "train/apart", "train/near", "val/loss", "val/apart", "val/near"}
    assert results["test"]["near"] != 0


def test_the_mean_of_a_part_is_over_the_samples(objectives):
    """A lone step: train/apart is that step's."""
    spec = spec_with(
        "stateful-objective", train={"epochs": 1, "batch_size": 20}, backbone={"name": "tiny", "norm": False}
    )
    folder = start(spec, Path("run"), objectives)
    assert history(folder)[0]["train/apart"] == pytest.approx(0.1**2 / 3, rel=0.3)  # the teacher is the net, and noise


def test_its_mode_follows_the_nets_and_the_teacher_never_trains(objectives):
    job = job_of(spec_with("stateful-objective"), objectives)
    from ftrun.train.evaluate import evaluate
    from ftrun.train.memory import Portions

    evaluate(job.evaluator, job.feed.loaders["val"], portions=Portions(torch.device("cpu")))
    objective = job.learner.objective
    assert set(objective.modes) == {(False, False, False)}
    assert objective.training
    assert not objective.teacher.training
    assert not objective.queue.any()


def test_what_learns_is_in_a_group_of_its_own(objectives):
    job = job_of(spec_with("stateful-objective"), objectives)
    *_, last = job.learner.optimizer.param_groups
    assert [id(each) for each in last["params"]] == [id(job.learner.objective.temperature)]
    learned = {id(each) for group in job.learner.optimizer.param_groups for each in group["params"]}
    assert not learned & {id(each) for each in job.learner.objective.teacher.parameters()}


def out_of_memory_above(size, objective, monkeypatch):
    forward = objective.forward

    def limited(net, batch, at):
        if len(batch) > size:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(net, batch, at)

    monkeypatch.setattr(objective, "forward", limited)


def gradients(job, progress):
    from ftrun.contracts.objective import StepInfo

    (batches, *_) = job.feed.loaders["train"].shuffled(0, 1, job.feed.ready)
    at = StepInfo(0, 1, 0, 0.0, training=True)
    values = job.engine.gradients(job.learner, batches, sum(map(len, batches)), at, progress)
    return {name: float(value) for name, value in values.items()}


def test_parts_of_a_batch_have_the_values_of_the_whole(objectives, monkeypatch):
    """The noise is drawn by sample and step: it does not depend on how a batch is split."""
    spec = spec_with("stateful-objective", backbone={"name": "tiny", "norm": False})
    whole, split = (job_of(spec, objectives) for _ in range(2))
    out_of_memory_above(3, split.learner.objective, monkeypatch)
    progress = Progress()
    one, two = gradients(whole, Progress()), gradients(split, progress)
    assert progress.micro_batch == 2
    assert one["apart"] == pytest.approx(two["apart"], rel=1e-5)
    assert one["loss"] == pytest.approx(two["loss"], abs=0.05)  # the queue moves with each part


def test_a_whole_batch_is_never_split(objectives, monkeypatch):
    job = job_of(spec_with({"name": "stateful-objective", "whole": True}), objectives)
    out_of_memory_above(3, job.learner.objective, monkeypatch)
    monkeypatch.setattr(memory, "release", lambda device: None)
    with pytest.raises(FtrunError, match=r"compares the samples of a batch with each other.*smaller train.batch_size"):
        gradients(job, Progress())
    from ftrun.train.evaluate import evaluate

    with pytest.raises(FtrunError, match="compares the samples of a batch"):
        evaluate(job.evaluator, job.feed.loaders["val"], portions=job.portions(Progress()))


def test_what_its_losses_need_an_objective_needs_too(objectives):
    halves = [
        job_of(spec_with("halved", loss=each), objectives).learner.objective for each in ("tiny-loss", "compared")
    ]
    assert [(each.whole_batch, each.takes_embeddings) for each in halves] == [(False, True), (True, False)]


def test_a_frozen_backbone_runs_in_each_step_where_the_objective_asks_it(objectives):
    frozen = {"phases": [{"epochs": 2, "freeze": "features"}]}
    jobs = [job_of(spec_with(each, train={**frozen}), objectives) for each in ("stateful-objective", None)]
    kept = [job.feed.embeddings.loader(job, "train", 1, job.portions(Progress())) for job in jobs]
    assert [each is None for each in kept] == [True, False]


def test_a_teacher_from_a_run_folder_is_in_no_checkpoint(objectives):
    teacher = start(tiny_spec(), Path("teacher"), objectives)
    spec = spec_with({"name": "distill", "teacher": str(teacher)})
    folder, copies = at_every_step(spec, Path.cwd(), objectives)
    assert not list(folder.rglob("net.safetensors"))
    assert outcome(go_on(copies[3], objectives)) == outcome(folder)
    again = evaluate_run(RunFolder(folder), None, None, "cpu")
    assert again["val"]["apart"] == json.loads((folder / "results.json").read_text())["val"]["apart"] > 0


def test_views_are_drawn_apart_and_in_evaluation_always_alike(objectives):
    spec = spec_with("two-views", augment=["horizontal-flip"]) | {"loss": None, "metrics": []}
    spec.pop("loss")
    job = job_of(spec, objectives)
    gradients(job, Progress())
    (first, second), plain = job.learner.objective.seen[-1], job.feed.ready(job.feed.loaders["train"].sample())
    assert first.shape == second.shape
    assert len(plain.views) == 2
    drawn = job.feed.ready(job.feed.loaders["train"].sample(), 1)
    assert not torch.equal(*drawn.views)
    again = job.feed.ready(job.feed.loaders["train"].sample())
    assert torch.equal(plain.views[1], again.views[1])
    assert not torch.equal(*plain.views)


def test_an_objective_without_losses_needs_none_and_is_monitored_by_its_own(objectives):
    spec = spec_with("two-views", augment=["horizontal-flip"])
    del spec["loss"], spec["metrics"]
    folder, copies = at_every_step(spec, Path.cwd(), objectives)
    assert json.loads((folder / "resolved.json").read_text())["monitor"] == "val/loss"
    assert outcome(go_on(copies[2], objectives)) == outcome(folder)
    again = evaluate_run(RunFolder(folder), None, None, "cpu")
    results = json.loads((folder / "results.json").read_text())
    assert again["val"] == results["val"]
    assert set(results["val"]) == {"loss", "spread"}


def test_mistakes_about_losses(objectives, ftrun):
    spec = spec_with("two-views")
    assert "loss: the objective 'two-views' takes no loss" in ftrun("check", write_spec(spec)).output
    del spec["objective"], spec["loss"]
    assert "loss: is required." in ftrun("check", write_spec({**spec, "recipe": None})).output
    spec = spec_with("two-views")
    del spec["loss"]
    result = ftrun(write_spec(spec), "--out", "run")
    assert result.exit_code == 3, result.output
    assert "the objective gives no output for target 'label': leave its metrics out." in result.output


def test_the_schema_takes_a_spec_without_loss_where_there_is_an_objective(objectives, ftrun, monkeypatch):
    import jsonschema

    needed = "ftrun-tiny,ftrun-objectives,ftrun-losses,ftrun-metrics"  # no recipe, which would fill a loss in
    monkeypatch.setenv("FTRUN_PLUGINS", needed)
    schema = json.loads(ftrun("schema").output)
    spec = spec_with("two-views")
    del spec["loss"]
    jsonschema.validate(spec, schema)
    del spec["objective"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schema)


def test_parts_are_in_the_report(objectives, ftrun):
    folder = start(spec_with("stateful-objective"), Path("run"), objectives)
    assert ftrun("report", folder).exit_code == 0
    page = (folder / "report.html").read_text()
    assert "train/apart" in page
    assert "val/apart" in page
