"""Metrics: accuracy, top-k, precision, recall, F1, confusion matrix, MSE, MAE, R2."""

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
    """Part of a class's samples that are found; its macro average is the balanced accuracy."""

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

    return Decisions(len(target.names_in_use()), metric, average, labels=target.kind == "labels")


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [Accuracy, TopK, Precision, Recall, F1, ConfusionMatrix, MSE, MAE, R2]
