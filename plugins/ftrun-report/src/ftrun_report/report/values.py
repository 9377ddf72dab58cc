"""The section of a target with values."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ftrun import Values
from ftrun_report.report import plots
from ftrun_report.report.examples import MOST, Example, Pictures, spread

_MOST_DRAWN = 6
_MOST_ROWS = 100
_MOST_POINTS = 1500
"""Of all scatter plots of a page together."""
_FEW = 4
"""So many values of an example are shown, in the order of the target's names."""


@dataclass(frozen=True)
class ValueRow:
    """One value: its errors, prediction less truth; None where it is not known. `r2` is None where it does not vary."""

    name: str
    mean_error: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None


@dataclass(frozen=True)
class Drawn:
    """What is drawn of one value: some samples' truth and prediction, and the errors of all in bins."""

    name: str
    true: list[float]
    predicted: list[float]
    edges: list[float]
    counts: list[int]


@dataclass(frozen=True)
class ValuesReport:
    """The predictions for N samples."""

    name: str
    samples: int
    rows: list[ValueRow]
    total: int
    drawn: list[Drawn]
    mistakes: list[Example]
    """The largest errors, in units of each value's standard deviation."""
    sample: list[Example]
    kind: str = "values"

    def drawings(self, number: int) -> dict[str, Any]:
        """Return the drawings of each value. number: the target's on the page"""
        return {
            "values": [
                (each, plots.scatter(f"t{number}s{at}", each), plots.errors(f"t{number}e{at}", each))
                for at, each in enumerate(self.drawn)
            ]
        }


def report(
    name: str, target: Values, outputs: Tensor, truth: Tensor, ids: Tensor, pictures: Pictures, share: int
) -> ValuesReport:
    """Return the section of a target.

    outputs, truth: float [N, V], NaN where not known; ids: int64 [N]; share: how many targets share the page
    """
    predicted, true = outputs.double().nan_to_num(0.0, 0.0, 0.0), truth.double()
    errors = predicted - true
    spreads = (true - true.nanmean(0)).square().nanmean(0).sqrt()
    scale = spreads.where(spreads > 0, errors.abs().nanmean(0).clamp(min=1e-300))
    off = (errors.abs() / scale).nan_to_num(0.0).max(1).values
    most = max(MOST // share, 4)
    known = target.known(true)

    def of(column: int, values: Tensor) -> Tensor:
        return values[known[:, column], column]

    def examples(positions: list[int]) -> list[Example]:
        return pictures.add(
            [
                Example(
                    sample=int(ids[at]),
                    true=_numbers(target, true[at]),
                    predicted=_numbers(target, predicted[at]),
                    note=f"{float(off[at]):.2f} sd",
                )
                for at in positions
            ]
        )

    columns = range(min(len(target.names), max(_MOST_DRAWN // share, 1)))
    points = max(_MOST_POINTS // (share * len(columns)), 50)
    return ValuesReport(
        name=name,
        samples=len(truth),
        rows=[_row(name, of(at, errors), of(at, true)) for at, name in enumerate(target.names[:_MOST_ROWS])],
        total=len(target.names),
        drawn=[
            _drawn(target.names[at], of(at, true), of(at, predicted), points) for at in columns if known[:, at].any()
        ],
        mistakes=examples(off.argsort(descending=True, stable=True)[:most].tolist()),
        sample=examples(spread(len(truth), most, seed=1)),
    )


def _row(name: str, errors: Tensor, true: Tensor) -> ValueRow:
    if not len(errors):
        return ValueRow(name)
    squared, variance = float(errors.square().mean()), float(true.var(correction=0))
    r2 = 1 - squared / variance if variance > 0 else None
    return ValueRow(name, float(errors.mean()), float(errors.abs().mean()), math.sqrt(squared), r2)


def _drawn(name: str, true: Tensor, predicted: Tensor, points: int) -> Drawn:
    chosen = spread(len(true), points, seed=2)
    errors = predicted - true
    reach = max(float(errors.abs().max()), 1e-12)
    bins = min(max(round(math.sqrt(len(errors))), 5), 40) | 1  # odd: the middle bin is around no error
    which = ((errors + reach) / (2 * reach) * bins).long().clamp(0, bins - 1)
    return Drawn(
        name=name,
        true=true[chosen].tolist(),
        predicted=predicted[chosen].tolist(),
        edges=[reach * (2 * each / bins - 1) for each in range(bins + 1)],
        counts=which.bincount(minlength=bins).tolist(),
    )


def _numbers(target: Values, values: Tensor) -> str:
    return ", ".join(target.shown(values.tolist())[:_FEW]) + (", …" if len(values) > _FEW else "")
