"""The end of a run: the best epoch is evaluated on test, and results.json written."""

from dataclasses import asdict
from time import perf_counter
from typing import Any

from ftrun.contracts.numbers import line_of
from ftrun.runs import checkpoint, predictions
from ftrun.runs.console import Console
from ftrun.runs.folder import RunFolder
from ftrun.runs.progress import Progress
from ftrun.train import advice
from ftrun.train.evaluate import evaluate
from ftrun.train.job import Job
from ftrun.train.objective import restore_objective
from ftrun.train.signals import Signals


def write_results(
    job: Job, progress: Progress, folder: RunFolder, console: Console, signals: Signals
) -> dict[str, Any]:
    """Evaluate the best epoch's weights on test, if there is one, and write results.json."""
    best = folder.checkpoints / "best"
    net = job.learner.evaluated_net
    checkpoint.load_weights(best, net.model, net.extra_modules)
    saved_with = checkpoint.load_net(best)  # on a device that is not exact, a resumed run may not find it again
    restore_objective(best, job.learner.objective, job.engine.device)
    targets = {name: target.model_dump(mode="json") for name, target in net.targets.items()}
    if saved_with["targets"] != targets:  # of a run that was calibrated, and has gone on since
        checkpoint.amend(best, targets=targets)
        console.say("the calibration of earlier results is gone with them: ftrun calibrate makes it anew")
    began = perf_counter()
    metrics = {"val": checkpoint.load_val(best)}
    # What it says of each sample is kept too. Where there is no test, val's values stay those of its epoch.
    split, outputs = "test" if "test" in job.feed.loaders else "val", predictions.Collected()
    portions = job.portions(progress)
    loader = job.feed.embeddings.of_best(job, split, saved_with["epoch"], portions, signals) or job.feed.loaders[split]
    with console.progress(split, loader.samples) as bar:
        values = evaluate(job.evaluator, loader, bar, signals, portions=portions, keep=outputs)
    metrics.setdefault(split, values)
    metrics = {name: predictions.keep_arrays(folder, name, each) for name, each in metrics.items()}
    predictions.save(folder, split, outputs.all(), {"split": split, "epoch": saved_with["epoch"]})
    results = {
        "best_epoch": saved_with["epoch"],
        "val": metrics["val"],
        "test": metrics.get("test"),
        "samples": job.feed.samples,
        "corrupt": [asdict(each) for each in job.feed.corrupt.in_order],
        "skipped_steps": progress.skipped,
        "advice": advice.worse_phases(job.learner.plan, job.monitor, progress.history),
        "seconds": {
            "first_step": _rounded(progress.seconds_of.get("first_step", 0.0)),
            "data": _rounded(progress.seconds_of.get("data", 0.0)),
            "train": _rounded(sum(values["seconds/train"] for values in progress.history)),
            "eval": _rounded(sum(values["seconds/eval"] for values in progress.history) + perf_counter() - began),
            "checkpoint": _rounded(progress.seconds_of.get("checkpoint", 0.0)),
            "total": _rounded(console.seconds),
        },
    }
    folder.write_json("results.json", results)
    early = progress.epoch < job.course.epochs
    reason = f"stopped early: {progress.stopped}" if early else ""
    folder.write_status("finished", epoch=progress.epoch, step=progress.step, reason=reason)
    for split, values in metrics.items():
        console.say(f"{split} of best epoch {results['best_epoch']}: {line_of(values)}")
    for line in results["advice"]:
        console.say(line)
    took = "  ".join(f"{what} {seconds:.1f} s" for what, seconds in results["seconds"].items())
    console.say(took.replace("_", " "))
    console.say(f"results: {folder.path / 'results.json'}")
    return results


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
