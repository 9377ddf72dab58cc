"""Metrics of decisions, from counts: what is right, decided and true of each class or label.

torchmetrics' own divide in float32, where a mean of ones may be 1.0000001, and add up a confusion matrix of all classes
with each batch. Counts are integers, so that these are exact; they are divided once, in float64.
"""

import torch
from torch import Tensor

import ftrun
from ftrun_metrics.states import Metric


class Counts(Metric):
    """Outputs and values -> counts of what is right, decided and true of each class or label: int64 [names].

    Of classes: logits float [B, K] and labels int64 [B]. Of labels: logits float [B, L] and labels float [B, L], 1 or
    0, NaN where it is not known; which of them hold, the target decides.
    """

    right: Tensor
    decided: Tensor
    true: Tensor
    known: Tensor

    def __init__(self, target: ftrun.Target) -> None:
        super().__init__()
        self.target = target
        self.labels = self.takes_gaps = target.kind == "labels"
        for state in ("right", "decided", "true", "known"):
            self.add_state(state, torch.zeros(len(target.names_in_use()), dtype=torch.int64))

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Count a batch; nothing here waits for the device."""
        if self.labels:
            known, true = ~values.isnan(), values > 0.5
            decided = self.target.decided(outputs) & known
            self.right += (decided & true).sum(0)
            self.decided += decided.sum(0)
            self.true += true.sum(0)
            self.known += known.sum(0)
        else:
            decided = outputs.argmax(1)
            self.right.index_add_(0, values, (decided == values).to(torch.int64))
            self.decided.index_add_(0, decided, torch.ones_like(decided))
            self.true.index_add_(0, values, torch.ones_like(values))

    def counts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what is right, decided, true and, of labels, known, on the CPU: not every device has float64."""
        return self.right.cpu(), self.decided.cpu(), self.true.cpu(), self.known.cpu()


class Decisions(Counts):
    """The same -> a metric of theirs.

    metric: "accuracy", "precision", "recall" or "f1"
    average: "macro", "micro" or "weighted"
    """

    def __init__(self, target: ftrun.Target, metric: str, average: str) -> None:
        super().__init__(target)
        self.metric, self.average = metric, average

    def compute(self) -> Tensor:
        """Return the metric, a float64 scalar; what has no sample and no decision counts 0, or in a macro mean of
        classes not at all."""
        counts = [each.double() for each in self.counts()]
        if self.average == "micro":
            return self._of(*(each.sum() for each in counts))
        scores, (_, decided, true, _) = self._of(*counts), counts
        weights = torch.ones_like(true) if self.labels else (decided + true > 0).double()
        if self.average == "weighted":
            weights = true
        return _ratio((scores * weights).sum(), weights.sum())

    def _of(self, right: Tensor, decided: Tensor, true: Tensor, known: Tensor) -> Tensor:
        """Return the metric of counts of single classes or labels, or of all; known: of labels, the samples of each."""
        if self.metric == "accuracy" and self.labels:
            return _ratio(known - decided - true + 2 * right, known)
        if self.metric == "f1":
            return _ratio(2 * right, decided + true)
        return _ratio(right, decided if self.metric == "precision" else true)


class Top(Metric):
    """Logits float [B, K] and labels int64 [B] -> part of the samples whose label is among the k largest logits."""

    right: Tensor
    samples: Tensor

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        for state in ("right", "samples"):
            self.add_state(state, torch.zeros((), dtype=torch.int64))

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Count a batch."""
        self.right += (outputs.topk(self.k).indices == values[:, None]).sum()
        self.samples += len(values)

    def compute(self) -> Tensor:
        """Return the part, a float64 scalar."""
        return _ratio(self.right.cpu().double(), self.samples.cpu().double())


class Confusion(Metric):
    """Logits float [B, K] and labels int64 [B] -> int64 [K, K], rows true, columns decided.

    A batch touches as many cells as it has samples, however many classes there are.
    """

    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("counts", torch.zeros(classes * classes, dtype=torch.int64))

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Count a batch."""
        self.counts.index_add_(0, values * self.classes + outputs.argmax(1), torch.ones_like(values))

    def compute(self) -> Tensor:
        """Return the matrix."""
        return self.counts.view(self.classes, self.classes)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, 0 where whole is 0."""
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.zeros_like(part))
