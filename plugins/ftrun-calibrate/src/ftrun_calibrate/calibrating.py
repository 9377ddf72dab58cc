"""Calibrating a run: val goes through its net, targets are fitted, and metrics are computed anew of kept outputs."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

import ftrun
from ftrun import FtrunError, Run, SpecError, Target
from ftrun.commands import Opened, Samples, build, call_plugins, is_figure
from ftrun_calibrate.fitting import FITS, Fitted

Kept = Mapping[str, tuple[Any, Any]]
"""By target, what `Target.pack` keeps of outputs and truth."""
_SPLIT = "val"
_KEYS = (
    "dataset",
    "backbone",
    "modifiers",
    "head",
    "metrics",
    "scheduler",
    "optimizer",
    "loss",
    "objective",
    "augment",
)
"""Of the spec, the parts that those who write of a finished run may look at."""


def calibrate(
    run: Run,
    *,
    only: str | None = None,
    device: str | None = None,
    other_data: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fit the targets of a finished run's best epoch to val, and write them and their metrics; return what was done.

    only: "temperature" or "thresholds"; both if not given
    device: where the net computes; the run's own if not given
    other_data: whether the data is taken although its content is not what it was
    say: shown what has changed since the run

    Raises SpecError where the run predicts nothing that can be calibrated, DataError where its val is gone.
    """
    before = run.learned_targets
    fitting = {name: fit for name, target in before.items() if (fit := _fit_of(target))}
    if not fitting:
        kinds = " and ".join(sorted({target.kind for target in before.values()})) or "nothing"
        raise SpecError(f"{run.folder} predicts {kinds}: only probabilities, of classes or labels, are calibrated.")
    catalogue = run.catalogue(("backbone", "modifiers", "head", "dataset", "metrics"))
    opened = run.open(device, catalogue=catalogue, keys=["dataset", "metrics"])
    for difference in opened.not_as_it_was():
        say(f"not as it was: {difference}")
    kept = {_SPLIT: _outputs(opened, Samples.of(opened, None, say, other_data=other_data), fitting)}
    if run.split != _SPLIT and (predictions := run.predictions()) is not None:
        kept[run.split] = {name: (predictions.outputs[name], predictions.truth[name]) for name in fitting}
    fitted = {
        name: _fitted(fitting[name], target, kept[_SPLIT][name], only)
        for name, target in before.items()
        if name in fitting
    }
    after = {
        name: target.model_copy(update=fitted[name].fields) if name in fitted else target
        for name, target in before.items()
    }
    after = {name: type(target).model_validate(dict(target)) for name, target in after.items()}
    results = plain_results(run)
    changes = {
        split: _changes(opened.spec.metrics, before, after, outputs, prefixed=len(before) > 1)
        for split, outputs in kept.items()
    }
    record = {
        "split": _SPLIT,
        "targets": {name: _record(after[name], each) for name, each in fitted.items()},
        "before": {split: {key: results[split].get(key) for key in each} for split, each in changes.items() if each},
    }
    now = {split: each for split, each in changes.items() if each}
    for split, values in now.items():
        results[split] = {**results[split], **values}
    run.calibrate(after, {**results, "calibration": record})
    write_again(run, say)
    return {"run": str(run.folder), **record, "after": now}


def uncalibrate(run: Run, *, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Put the targets and metrics of a finished run back as training left them."""
    run.calibrate(run.learned_targets, plain_results(run))
    write_again(run, say)
    return {"run": str(run.folder)}


def write_again(run: Run, say: Callable[[str], None]) -> None:
    """Have plugins that write something of a finished run, such as its report, do so again; say what is of before."""
    if any((run.folder / "exports").glob("*")):
        say(f"{run.folder / 'exports'}: what is there was exported before, and gives what it gave then")
    try:
        spec = run.checked_spec(_KEYS)
        finished = ftrun.FinishedRun(run.folder, spec, run.data(spec), run.net, say, lambda line: None)
        plugins = run.catalogue(_KEYS)
    except FtrunError as error:
        say(f"report and model card are of before: {error}")
        return
    call_plugins(plugins, finished)


def plain_results(run: Run) -> dict[str, Any]:
    """Return what results.json held before the run was calibrated, if it was."""
    results = dict(run.results or {})
    for split, figures in (results.pop("calibration", None) or {}).get("before", {}).items():
        results[split] = {**results[split], **figures}
    return results


def _fit_of(target: Target) -> Callable[..., Fitted] | None:
    """Return what fits a target: of the core's kinds, or what another kind brings as "calibrate.fit"."""
    fit: Callable[..., Fitted] | None = FITS.get(target.kind) or target.extension("calibrate.fit")
    return fit


def _fitted(fit: Callable[..., Fitted], target: Target, kept: tuple[Any, Any], only: str | None) -> Fitted:
    outputs, truth = target.evaluated(*kept, whole=False)
    if not len(target.present(truth)):
        raise ftrun.DataError("no val sample has a value of a target, so there is nothing to calibrate it by.")
    return fit(target, outputs, truth, only)


@torch.no_grad()
def _outputs(run: Opened, samples: Samples, names: Collection[str]) -> Kept:
    """Return what the net gives for val, as the run's own evaluation keeps it."""
    outputs: dict[str, list[Any]] = {name: [] for name in names}
    truth: dict[str, list[Any]] = {name: [] for name in names}
    for batch in samples.batches(_SPLIT, len(dict(samples.splits.items())[_SPLIT])):
        for name, output in run.outputs(batch).items():
            if name in outputs:
                target = run.net.targets[name]
                decoded = target.decode(ftrun.tree_map(lambda each: each.float(), output))
                packed = target.pack(decoded, batch.targets[name])
                assert packed is not None  # what is fitted is kept
                outputs[name].append(packed[0].cpu())
                truth[name].append(packed[1].cpu())
    return {name: (torch.cat(outputs[name]), torch.cat(truth[name])) for name in names}


def _changes(
    metrics: Any, before: Mapping[str, Target], after: Mapping[str, Target], kept: Kept, *, prefixed: bool
) -> dict[str, float | None]:
    """Return the metrics that are other numbers now, by their names in results.json."""
    changed = {}
    for name, (outputs, truth) in kept.items():
        for index, part in enumerate(metrics):
            if before[name].kind not in part.kinds:
                continue
            was, now = (_figures(part, f"metrics.{index}", each[name], outputs, truth) for each in (before, after))
            for key, value in now.items():
                if value != was[key]:
                    changed[f"{name}/{key}" if prefixed else key] = value
    return changed


def _figures(part: Any, where: str, target: Target, outputs: Any, truth: Any) -> dict[str, float | None]:
    """Return the numbers that a metric gives, as JSON has them; none of it where it gives something else."""
    metric = build(part, where, target).to(torch.device("cpu"))
    chosen = target.evaluated(outputs, truth, whole=not getattr(metric, "takes_gaps", False))
    if not len(target.present(chosen[1])):
        return {}
    metric.update(*chosen)
    computed = metric.compute()
    named = computed.items() if isinstance(computed, Mapping) else [("", computed)]
    numbers = {f"{part.key}/{name}" if name else part.key: _number(value) for name, value in named}
    return {key: value if math.isfinite(value) else None for key, value in numbers.items() if value is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if is_figure(value) else None


def _record(target: Target, fitted: Fitted) -> dict[str, Any]:
    """Return what results.json says of one target."""
    fields = {key: getattr(target, key) for key in fitted.fields}
    if "thresholds" in fields:
        fields["thresholds"] = dict(zip(target.names_in_use(), fields["thresholds"], strict=True))
    loss = {"before": fitted.before, "after": fitted.after}
    return {**fields, "samples": fitted.samples, "log_loss": loss, "notes": fitted.notes}
