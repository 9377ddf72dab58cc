"""The section of a target with any number of labels at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ftrun import Labels
from ftrun_report.report import per_class, plots
from ftrun_report.report.calibration import Calibration, calibration
from ftrun_report.report.examples import MOST, Example, Pictures, spread
from ftrun_report.report.intervals import Rate, proportion

_FEW = 5
"""So many labels of an example are named."""


@dataclass(frozen=True)
class LabelsReport:
    """The predictions for N samples."""

    name: str
    exact: Rate
    """Part of the samples all of whose labels are right, as far as they are known."""
    samples: int
    by_label: per_class.Table
    calibration: Calibration
    mistakes: list[Example]
    """Those with the label that was the most confident mistake."""
    sample: list[Example]
    chosen: bool
    """Whether each label has a threshold of its own, chosen on val."""
    kind: str = "labels"

    def drawings(self, number: int) -> dict[str, Any]:
        """Return the drawing of the calibration. number: the target's on the page"""
        return {"calibration": plots.calibration(f"t{number}c", self.calibration)}


def report(
    name: str, target: Labels, outputs: Tensor, truth: Tensor, ids: Tensor, pictures: Pictures, share: int
) -> LabelsReport:
    """Return the section of a target.

    outputs: float32 [N, L], logits; truth: float32 [N, L], NaN where not known; ids: int64 [N]
    share: how many targets share the page
    """
    scores, known = target.shares(outputs.double()).nan_to_num(0.0), target.known(truth)
    predicted, true = target.decided(outputs), truth > 0.5
    right = ((predicted == true) | ~known).all(1)
    counts = list(zip(*(each.sum(0).tolist() for each in (true, predicted & known, predicted & true)), strict=True))
    off = (scores - truth.double()).abs().where(known, 0.0)
    worst, which = off.max(1)
    most = max(MOST // share, 4)
    wrong = (~right).nonzero().flatten()
    wrong = wrong[worst[wrong].argsort(descending=True, stable=True)][:most]

    def examples(positions: list[int], *, name_worst: bool) -> list[Example]:
        return pictures.add(
            [
                Example(
                    sample=int(ids[at]),
                    true=_named(true[at], target.names),
                    predicted=_named(predicted[at], target.names),
                    note=f"{target.names[int(which[at])]}: {float(scores[at, which[at]]):.3f}" if name_worst else "",
                    right=bool(right[at]),
                )
                for at in positions
            ]
        )

    return LabelsReport(
        name=name,
        exact=proportion(int(right.sum()), len(truth)),
        samples=len(truth),
        by_label=per_class.table(target.names, counts, max(1000 // share, 20)),
        calibration=calibration(scores[known], true[known], target.temperature),
        chosen=bool(target.thresholds),
        mistakes=examples(wrong.tolist(), name_worst=True),
        sample=examples(spread(len(truth), most, seed=1), name_worst=False),
    )


def _named(holds: Tensor, names: Sequence[str]) -> str:
    found = [names[index] for index in holds.nonzero().flatten().tolist()]
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return (", ".join(found[:_FEW]) + more) or "none"
