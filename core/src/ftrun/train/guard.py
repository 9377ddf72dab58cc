"""Nothing that is not finite reaches the weights: the loss and the gradient are looked at before each step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DivergedError
from ftrun.contracts.objective import StepInfo
from ftrun.contracts.printable import shortlist
from ftrun.plugins.building import Blaming
from ftrun.spec.runspec import RunSpec
from ftrun.train import accel
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.accel.finite import Finite
from ftrun.train.learner import Learner
from ftrun.train.objective import evaluating

_LISTED = 20
_MOST_RETURNS = 3


class GoBack(Exception):
    """Go on from the last checkpoint with a lower learning rate; the message says why."""


class Guard:
    """Makes the optimizer's steps, and `train.on_nonfinite` at work: stop, skip the step, or go back."""

    def __init__(self, spec: RunSpec, learner: Learner, device: torch.device) -> None:
        self.learner = learner
        self.policy = spec.train.on_nonfinite
        self.clip = spec.train.clip
        self._waits = device.type != "cpu"
        self._buffers: KeptBuffers | None = None
        self._finite = Finite(device)
        self._make_step = Blaming(learner.optimizer.step, spec.optimizer, "optimizer")
        fused = getattr(learner.optimizer, "_step_supports_amp_scaling", False) and self.clip is None
        self._may_skip_by_itself = device.type == "cuda" and fused and accel.enabled()
        self._skips_by_itself = (
            False  # not in the first step, which sets up the optimizer's state: it would be left undefined
        )

    def before_step(self) -> None:
        """Keep what the forward pass changes, such as batch normalisation's statistics, for a step to be skipped."""
        if self.policy == "skip":
            self._buffers = KeptBuffers(self.learner.net, self.learner.objective)

    def step(
        self,
        values: Mapping[str, Tensor],
        learning: Sequence[nn.Parameter],
        at: StepInfo,
        batches: Sequence[Batch],
    ) -> dict[str, float] | None:
        """Clip the gradients and make the optimizer's step; gives the loss and its parts, scalars before, as numbers.

        On a GPU this waits until the gradients are there, since what is not finite must not reach the weights. A fused
        optimizer is told before, and leaves such a step out by itself: then the GPU need not wait for Python as well.

        learning: the parameters that have the gradients

        None for a step to be skipped. Raises DivergedError with the step, the samples and the largest gradient's
        parameter, or GoBack.
        """
        gradients = [gradient for each in learning if (gradient := each.grad) is not None]
        self._finite.look([values["loss"], *gradients])
        if self._skips_by_itself:
            numbers = self._read_during_step(values)
        elif self._waits:  # once for all
            numbers = self._seen(values).tolist()
        else:
            numbers = [*map(float, values.values()), float(self._finite.flag)]
        if numbers[-1]:
            self._refuse(numbers[0], learning, at, batches)
            return None
        if not self._skips_by_itself:
            if self.clip is not None:
                clip_grads_with_norm_(learning, self.clip, gradient_norm(learning))
            self._make_step()
            self._skips_by_itself = self._may_skip_by_itself
        return dict(zip(values, numbers, strict=False))

    def _seen(self, values: Mapping[str, Tensor]) -> Tensor:
        """The values and the flag, one tensor: to be read at once."""
        return torch.stack([*(value.float() for value in values.values()), self._finite.flag])

    def _read_during_step(self, values: Mapping[str, Tensor]) -> list[float]:
        """Values and flag, read while the GPU makes the optimizer's step, or leaves it out: GradScaler's way to ask."""
        optimizer: Any = self.learner.optimizer
        seen = self._seen(values).to("cpu", non_blocking=True)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()
        optimizer.found_inf = self._finite.flag
        self._make_step()
        del optimizer.found_inf
        copied.synchronize()
        return cast("list[float]", seen.tolist())

    def _refuse(self, value: float, learning: Sequence[nn.Parameter], at: StepInfo, batches: Sequence[Batch]) -> None:
        """Do what the policy says; the weights are what they were."""
        self._finite.clear()
        norm = float(gradient_norm(learning))
        what = f"step {at.step + 1}: the loss is {value:.4g}, the gradient's norm {norm:.4g}"
        if self._buffers:
            self._buffers.restore()
            return
        if self.policy == "back":
            raise GoBack(what)
        raise DivergedError(
            f"training diverged at {what}\n"
            f"  {_blame(self.learner, batches, at)}\n"
            f"  Largest gradient: {_largest_gradient(self.learner)}.\n"
            "Try a lower optimizer.lr, or train.clip to bound the gradient; look at the samples if only they are at "
            "fault. train.on_nonfinite can skip such steps, or go back."
        )


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The Euclidean norm of all gradients together, a scalar."""
    gradients = [gradient for each in parameters if (gradient := each.grad) is not None]
    if not gradients:  # no sample of the step can be read
        return torch.zeros(())
    return get_total_norm(gradients)


def may_go_back(went_back: int, reason: str) -> None:
    """Raise DivergedError where a run went back often enough."""
    if went_back >= _MOST_RETURNS:
        raise DivergedError(
            f"training diverged again at {reason}, after going back {went_back} times, each time to half the "
            "learning rate. Try a lower optimizer.lr, or train.clip to bound the gradient."
        )


def _largest_gradient(learner: Learner) -> str:
    """Name and norm of the gradient that is largest; one that is not finite counts as larger than any that is."""
    norms = {
        name.removeprefix("model."): float(parameter.grad.float().norm())
        for name, parameter in learner.net.named_parameters()
        if parameter.grad is not None
    }
    if not norms:
        return "there is none"
    name = max(norms, key=lambda each: norms[each] if math.isfinite(norms[each]) else math.inf)
    return f"{name}, of norm {norms[name]:.4g}"


@torch.no_grad()
def _blame(learner: Learner, batches: Sequence[Batch], at: StepInfo) -> str:
    """The indices of the samples whose own loss is not finite, or of the step's samples where none stands out."""
    learner.net.eval()  # a sample alone has no statistics for batch normalisation
    every = [str(int(each)) for batch in batches for each in batch.ids]
    with evaluating(learner.objective):
        culprits = [
            str(int(sample.ids[0]))
            for batch in batches
            for sample in ([] if learner.objective.whole_batch else batch.parts(1))
            if not learner.objective(learner.net, sample, at).loss.isfinite()
        ]
    if culprits and len(culprits) < len(every):
        return f"Training samples whose own loss is not finite: {shortlist(culprits, _LISTED)}."
    return f"Training samples of the step: {shortlist(every, _LISTED)}."
