"""Metrics of decisions (accuracy, F1, ...), of ranks (AUROC, ...), of probabilities, and of values (MSE, R2, ...)."""

from typing import Annotated, Any, Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"

# Only `build()` imports torch, through the modules beside this one.

Average = Annotated[
    Literal["macro", "micro", "weighted"],
    Field(description="Mean over classes: each alike, from all decisions together, or weighted by their samples."),
]


class Accuracy(ftrun.Metric):
    """Part of the samples whose class is predicted right; with labels, part of the labels."""

    name: Literal["accuracy"]
    kinds = ("classes", "labels")

    def build(self, target: ftrun.Target) -> Any:
        return _decisions("accuracy", target, "micro")


class TopK(ftrun.Metric):
    """Part of the samples whose class is among the k most likely ones."""

    name: Literal["top-k"]
    k: int = Field(5, ge=1, description="Number of classes that may be guessed; fewer than there are classes.")

    @property
    def key(self) -> str:
        """`top_5`."""
        return f"top_{self.k}"

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.counts import Top

        classes = len(target.names_in_use())
        if self.k >= classes:
            raise ftrun.SpecError(
                f"top-k with k = {self.k} is always right, as there are {classes} classes. "
                f"Take a k below {classes}, or leave it out."
            )
        return Top(self.k)


class _Averaged(ftrun.Metric):
    """A metric of each class, averaged."""

    kinds = ("classes", "labels")

    name: str
    average: Average = "macro"

    @property
    def key(self) -> str:
        """`f1_macro`."""
        return f"{self.name}_{self.average}"

    def build(self, target: ftrun.Target) -> Any:
        return _decisions(self.name, target, self.average)


class Precision(_Averaged):
    """Part of a class's predictions that are right."""

    name: Literal["precision"]


class Recall(_Averaged):
    """Part of a class's samples that are found."""

    name: Literal["recall"]


class F1(_Averaged):
    """Harmonic mean of a class's precision and recall."""

    name: Literal["f1"]


class ConfusionMatrix(ftrun.Metric):
    """Number of samples by true class (row) and predicted class (column)."""

    name: Literal["confusion-matrix"]
    higher_is_better = None

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.counts import Confusion

        return Confusion(len(target.names_in_use()))


class BalancedAccuracy(ftrun.Metric):
    """Mean recall of the classes that occur, so that rare ones count as much; of labels, of having and lacking it."""

    name: Literal["balanced-accuracy"]
    kinds = ("classes", "labels")

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics import agreement

        return agreement.BalancedAccuracy(target)


class Matthews(ftrun.Metric):
    """Correlation of what is predicted with what is true, -1 to 1; 0 is chance, however rare a class is."""

    name: Literal["matthews"]
    kinds = ("classes", "labels")

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics import agreement

        return agreement.Matthews(target)


class QuadraticKappa(ftrun.Metric):
    """Agreement beyond chance of classes that are in an order, such as grades: a miss counts its distance squared."""

    name: Literal["quadratic-kappa"]

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics import agreement

        return agreement.QuadraticKappa(len(target.names_in_use()))


class AUROC(ftrun.Metric):
    """How often what is true scores above what is not: the area under the ROC curve, 0.5 by chance."""

    name: Literal["auroc"]
    kinds = ("classes", "labels")

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics import ranks

        return ranks.Ranking(target, ranks.area_under_roc)


class AveragePrecision(ftrun.Metric):
    """Mean precision over all that is true, from the highest score down: the area under precision and recall."""

    name: Literal["average-precision"]
    kinds = ("classes", "labels")

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics import ranks

        return ranks.Ranking(target, ranks.average_precision)


class ExpectedCalibrationError(ftrun.Metric):
    """How far confidences are from how often they are right, from 0 to 1."""

    name: Literal["expected-calibration-error"]
    kinds = ("classes", "labels")
    higher_is_better = False
    bins: int = Field(15, ge=1, le=1000, description="Bins of equal width that confidences are sorted into.")

    @property
    def key(self) -> str:
        """`expected_calibration_error`; of other than 15 bins, `expected_calibration_error_10`."""
        return super().key if self.bins == 15 else f"{super().key}_{self.bins}"

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.calibration import CalibrationError

        return CalibrationError(target, self.bins)


class MSE(ftrun.Metric):
    """Mean squared error."""

    name: Literal["mse"]
    kinds = ("values",)
    higher_is_better = False

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.errors import MeanError

        return MeanError(squared=True)


class MAE(ftrun.Metric):
    """Mean absolute error."""

    name: Literal["mae"]
    kinds = ("values",)
    higher_is_better = False

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.errors import MeanError

        return MeanError(squared=False)


class R2(ftrun.Metric):
    """Part of the values' variance that is predicted; 0 for the mean, 1 for the values themselves."""

    name: Literal["r2"]
    kinds = ("values",)

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_metrics.r2 import R2Score

        return R2Score()


def _decisions(metric: str, target: ftrun.Target, average: str) -> Any:
    from ftrun_metrics.counts import Decisions

    return Decisions(target, metric, average)


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    of_decisions = [Accuracy, TopK, Precision, Recall, F1, ConfusionMatrix, BalancedAccuracy, Matthews, QuadraticKappa]
    return [*of_decisions, AUROC, AveragePrecision, ExpectedCalibrationError, MSE, MAE, R2]
