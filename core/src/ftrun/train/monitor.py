"""Which figure of val decides which epoch is best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.numbers import is_figure
from ftrun.contracts.targets import Target
from ftrun.spec.runspec import RunSpec
from ftrun.train import metricvalues


@dataclass(frozen=True)
class Monitor:
    """A figure, or the mean of several of which more, or less, is better."""

    names: tuple[str, ...]
    """As in metrics.jsonl: `val/accuracy`."""
    higher_is_better: bool

    def value(self, val: Mapping[str, Any]) -> float:
        """Return what it is of what `evaluate` gave for val: NaN where one of its values is not finite, or missing."""
        values = [val.get(name.removeprefix("val/")) for name in self.names]
        finite = [float(each) for each in values if is_figure(each) and math.isfinite(each)]
        return sum(finite) / len(finite) if len(finite) == len(values) else math.nan

    def improves(self, val: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
        """Whether `val` is better than the best so far, if there is one; what is undefined is worse than any number."""
        if not best:
            return True
        value, most = self.value(val), self.value(best)
        if math.isnan(value) or math.isnan(most):
            return math.isnan(most) and not math.isnan(value)
        return value > most if self.higher_is_better else value < most

    def is_better(self, val: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
        """Whether `val` is to be kept in place of the best so far; of two that are alike, that of the smaller loss is.

        Where losses are alike too, or none is finite, the earlier epoch stays.
        """
        if self.improves(val, best) or self.improves(best, val):
            return self.improves(val, best)
        loss, least = (_number(each.get("loss")) for each in (val, best))
        return loss < least or (math.isfinite(loss) and not math.isfinite(least))

    def __str__(self) -> str:
        return " + ".join(self.names)

    @property
    def as_json(self) -> str | list[str]:
        """For resolved.json: its name, or the list of them."""
        return self.names[0] if len(self.names) == 1 else list(self.names)


def monitor_of(spec: RunSpec, targets: Mapping[str, Target]) -> Monitor:
    """What `train.monitor` means for a dataset's targets; the loss, if it does not say, and there are several.

    Raises SpecError where there will be no such figure.
    """
    known = _figures(spec, targets)
    named = spec.train.monitor or (next(iter(known)) if len(targets) == 1 else "val/loss")
    names = (named,) if isinstance(named, str) else named
    for name in names:
        if name not in known:
            raise SpecError(
                f"no figure named {name!r}.{did_you_mean(name, known)} With this spec's metrics and the dataset's "
                f"targets it may be: {', '.join(known)}.",
                where="train.monitor",
            )
    if len({known[name] for name in names}) > 1:
        raise SpecError(
            f"of {' and '.join(names)} one is better when it is high and another when it is low: they have no mean.",
            where="train.monitor",
        )
    return Monitor(names, known[names[0]])


def _number(value: Any) -> float:
    return float(value) if is_figure(value) else math.nan


def _figures(spec: RunSpec, targets: Mapping[str, Target]) -> dict[str, bool]:
    """Figures that there will be, and whether more is better.

    Each metric is tried: what it gives shows before the training, and not after the first epoch.
    """
    several = len(targets) > 1
    found: dict[str, bool] = {}
    for name, target in targets.items():
        prefix = f"val/{name}/" if several else "val/"
        for index, metric in enumerate(spec.metrics):
            if target.kind in metric.kinds:
                names = metricvalues.tried(metric, f"metrics.{index}", target)
                if metric.higher_is_better is not None:
                    keys = [metric.key] if names is None else names
                    found |= {prefix + key: metric.higher_is_better for key in keys}
        if several:
            found[f"{prefix}loss"] = False
    return {**found, "val/loss": False}
