"""The section of a target with classes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ftrun import Classes
from ftrun_report.report import confusion, per_class, plots
from ftrun_report.report.calibration import Calibration, calibration
from ftrun_report.report.examples import MOST, Example, Pictures, spread
from ftrun_report.report.intervals import Rate, proportion


@dataclass(frozen=True)
class ClassesReport:
    """The predictions for N samples."""

    name: str
    right: Rate
    samples: int
    by_class: per_class.Table
    macro_f1: float | None
    """Mean F1 of the classes that were true or predicted at least once."""
    never_predicted: int
    """Classes that were never predicted."""
    names: list[str]
    matrix: Tensor | None
    """int64 [C, C], true by predicted; None where classes are too many, or only one."""
    pairs: list[confusion.Pair]
    calibration: Calibration
    confidence: float
    mistakes: list[Example]
    """The most confident ones first."""
    sample: list[Example]
    kind: str = "classes"

    def drawings(self, number: int) -> dict[str, Any]:
        """Return the drawings of the calibration and of the confusion matrix. number: the target's on the page"""
        drawn: dict[str, Any] = {"calibration": plots.calibration(f"t{number}c", self.calibration)}
        if self.matrix is not None:
            shares = shading(self.matrix)
            if len(self.names) > confusion.MOST_CELLS:
                drawn["matrix"] = plots.confusion(f"t{number}m", shares)
            else:
                rows = zip(self.matrix.tolist(), shares.tolist(), strict=True)
                drawn["cells"] = [list(zip(*each, strict=True)) for each in rows]
        return drawn


def report(
    name: str, target: Classes, outputs: Tensor, truth: Tensor, ids: Tensor, pictures: Pictures, share: int
) -> ClassesReport:
    """Return the section of a target.

    outputs: float32 [N, C], logits; truth: int64 [N]; ids: int64 [N]; share: how many targets share the page
    """
    names = target.names
    scores = target.shares(outputs).nan_to_num(0.0)
    confidence, predicted = scores.max(1)
    right = predicted == truth
    of_class = [each.bincount(minlength=len(names)).tolist() for each in (truth, predicted, truth[right])]
    counts = list(zip(*of_class, strict=True))
    all_f1 = [2 * hits / (true + made) for true, made, hits in counts if true + made]
    most = max(MOST // share, 4)
    wrong = (~right).nonzero().flatten()
    wrong = wrong[confidence[wrong].argsort(descending=True, stable=True)][:most]

    def examples(positions: list[int]) -> list[Example]:
        return pictures.add(
            [
                Example(
                    sample=int(ids[at]),
                    true=names[int(truth[at])],
                    predicted=names[int(predicted[at])],
                    note=f"{float(confidence[at]):.3f}",
                    right=bool(right[at]),
                )
                for at in positions
            ]
        )

    return ClassesReport(
        name=name,
        right=proportion(int(right.sum()), len(truth)),
        samples=len(truth),
        by_class=per_class.table(names, counts, max(1000 // share, 20)),
        macro_f1=sum(all_f1) / len(all_f1) if all_f1 else None,
        never_predicted=sum(made == 0 for _, made, _ in counts),
        names=list(names),
        matrix=confusion.matrix(truth, predicted, len(names)) if len(names) > 1 else None,
        pairs=confusion.pairs(truth, predicted, names, 20),
        calibration=calibration(confidence, right, target.temperature),
        confidence=float(confidence.mean()) if len(confidence) else 0.0,
        mistakes=examples(wrong.tolist()),
        sample=examples(spread(len(truth), most, seed=1)),
    )


def shading(matrix: Tensor) -> Tensor:
    """Return each row's shares of its class, float64 [C, C]; 0 where the class has no samples."""
    return (matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)).to(torch.float64)
