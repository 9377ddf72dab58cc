"""How the answers of an exported file are compared with the run's, by kind of target."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ftrun import Target


class Answers:
    """How answers for a kind of target are compared. Another kind brings a subclass as its extension "export.answers".

    An answer is a tensor [B, ...], of which a target has one, or several by name.

    figure: the name of what `quality` returns; None where nothing tells what 8-bit integers cost
    in_script: whether the Python file next to an exported one knows what to show of it
    """

    figure: str | None = None
    in_script: bool = False

    def expected(self, target: Any, output: Any) -> Any:
        """Return the run's own answer for a head's output, a tree in float32: what a file gives, or more exact."""
        return target.exported(output)

    def difference(self, target: Any, expected: Tensor, exported: Tensor) -> Tensor:
        """Return how far answers are apart, float64 [B, ...]; those above 1 in relation to their size, as pixels."""
        return _apart(expected, exported) / expected.double().abs().clamp(min=1)

    def same(self, target: Any, expected: Tensor, exported: Tensor, bound: float) -> Tensor | None:
        """Return for which samples the decision is the same, bool [B]; None where there is none.

        What ties within the bound may go either way.
        """
        return None

    def quality(self, target: Any, answers: Tensor, truth: Any) -> float:
        """Return how good answers are, more is better; NaN where nothing is known."""
        return float("nan")


def _apart(expected: Tensor, exported: Tensor) -> Tensor:
    return (exported.double() - expected.double()).abs()


class _Scores(Answers):
    in_script = True

    def expected(self, target: Any, output: Any) -> Tensor:
        """Return the scores: probabilities, or values in float64."""
        scores: Tensor = target.scores(output)
        return scores


class _Classes(_Scores):
    figure = "accuracy"

    def same(self, target: Any, expected: Tensor, exported: Tensor, bound: float) -> Tensor:
        """Return where the class is the same, or its probability within 2 bounds: both may be off by one."""
        chosen = expected.gather(1, exported.argmax(1, keepdim=True)).squeeze(1)
        return expected.amax(1) - chosen <= 2 * bound

    def quality(self, target: Any, answers: Tensor, truth: Tensor) -> float:
        """Return the part of the samples that is right."""
        return float((answers.argmax(1) == truth).double().mean())


class _Labels(_Scores):
    figure = "accuracy"

    def same(self, target: Any, expected: Tensor, exported: Tensor, bound: float) -> Tensor:
        """Return where all labels are decided the same, or within the bound of either."""
        least = _thresholds(target)
        return (((exported >= least) == (expected >= least)) | ((expected - least).abs() <= bound)).all(1)

    def quality(self, target: Any, answers: Tensor, truth: Tensor) -> float:
        """Return the part of all known labels that is right."""
        return float(((answers >= _thresholds(target)) == (truth >= 0.5))[target.known(truth)].double().mean())


def _thresholds(target: Any) -> Tensor:
    """Return the probability from which each label holds, or one for all."""
    return torch.tensor(target.thresholds or 0.5)


class _Values(_Scores):
    figure = "r2"

    def difference(self, target: Any, expected: Tensor, exported: Tensor) -> Tensor:
        """Return the difference in standard deviations.

        Values that are more than one of these from their mean are compared in relation to that: float32 has seven
        digits.
        """
        apart = _apart(expected, exported)
        if not target.mean:
            return apart
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (target.mean, target.std))
        return apart / (expected.double() - mean).abs().maximum(std)

    def quality(self, target: Any, answers: Tensor, truth: Tensor) -> float:
        """Return the mean R2 of the values."""
        known, truth = target.known(truth), truth.double()
        off = (answers.double() - truth).square().nansum(0)
        spread = (truth - truth.nanmean(0)).square().nansum(0)
        return float((1 - off / spread)[known.any(0) & (spread > 0)].mean())


_KINDS: Mapping[str, Answers] = {"classes": _Classes(), "labels": _Labels(), "values": _Values()}


def answers_of(target: Target) -> Answers:
    """Return how a target's answers are compared: as its kind says, or by the numbers alone."""
    if target.kind in _KINDS:
        return _KINDS[target.kind]
    brought = target.extension("export.answers")
    return brought() if brought else Answers()


def named(target: str, answer: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and tensor of each output of a file for a target: its own name; several are `target/name`."""
    if not isinstance(answer, Mapping):
        yield target, answer
        return
    for name, each in answer.items():
        yield from named(f"{target}/{name}", each)
