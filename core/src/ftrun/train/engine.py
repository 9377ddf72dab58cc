"""What computes: forward and backward, in a precision, in parts where memory is short, recorded where it pays."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import FtrunError
from ftrun.contracts.objective import StepInfo
from ftrun.contracts.randomness import reseed, seed_of
from ftrun.runs.progress import Progress
from ftrun.train import memory
from ftrun.train.accel.graphs import Graphs
from ftrun.train.learner import Learner
from ftrun.train.memory import Portions
from ftrun.train.norm import LoneSamples
from ftrun.train.tuning import ComputeFormat


@dataclass
class Engine:
    """A device, and how it computes. Nothing of it is in a checkpoint."""

    seed: int
    device: torch.device
    setting: ComputeFormat
    """Precision and memory format."""
    graphs: Graphs
    lone_samples: LoneSamples
    say: Callable[[str], None]

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision, around a forward pass."""
        return self.setting.autocast(self.device)

    def portions(self, size: int | None, *, whole_batch: bool = False) -> Portions:
        """Return what makes forward passes of evaluation; where memory is short, recorded steps give theirs up.

        size: samples that go through the net at once; None for whole batches
        whole_batch: as `ObjectiveModule` has it
        """
        relieve = partial(self.graphs.give_up, "memory is short")
        return Portions(self.device, size, self.say, relieve, whole_batch=whole_batch)

    def gradients(
        self, learner: Learner, batches: Sequence[Batch], samples: int, at: StepInfo, progress: Progress
    ) -> dict[str, Tensor]:
        """Leave the gradient of the mean loss over a step's samples in the parameters; return that loss and its parts.

        Where memory does not suffice, the batches go through the net in smaller parts, from then on: the gradient is of
        the same samples. (Batch normalisation sees a part at a time.) Raises FtrunError where one sample is too much,
        or the objective needs whole batches.

        Returns {"loss": scalar, name: scalar, ...}.
        """
        before = progress.micro_batch
        while True:
            try:
                values = self._gradients(learner, batches, samples, at, progress)
            except RuntimeError as error:
                if not memory.is_out_of_memory(error):
                    raise
                whole = learner.objective.whole_batch
                smaller = None if whole else memory.halved(progress.micro_batch, max(batches, key=len))
            else:
                if progress.micro_batch != before:
                    self.say(
                        f"out of memory: from now on batches go through the net {progress.micro_batch} samples at a "
                        "time; each step still learns from as many as before"
                    )
                return values
            # Out of the handler, the error and all that its frames held on to are gone.
            learner.optimizer.zero_grad(set_to_none=True)
            had_graphs = self.graphs.give_up("memory is short")
            memory.release(self.device)
            if had_graphs:
                continue  # without what they kept, there may be enough
            if smaller is None:
                raise FtrunError(memory.too_little(whole_batch=whole))
            progress.micro_batch = smaller

    def _gradients(
        self, learner: Learner, batches: Sequence[Batch], samples: int, at: StepInfo, progress: Progress
    ) -> dict[str, Tensor]:
        parts = batches
        if progress.micro_batch is not None:
            parts = [part for batch in batches for part in batch.parts(progress.micro_batch)]
        sums: dict[str, Tensor] = {}
        for position, part in enumerate(parts):
            draw = at.step * 2**16 + position
            reseed(self.device, (seed_of(self.seed, "step") + draw) % 2**63)  # for dropout and the like
            if len(parts) == 1:
                return self.graphs.run(partial(self._forward_backward, learner, at=at), part)
            for name, value in self._forward_backward(learner, part, len(part) / samples, at=at).items():
                sums[name] = sums[name] + value if name in sums else value
        return sums or {"loss": torch.zeros((), device=self.device)}

    def _forward_backward(
        self, learner: Learner, part: Batch, weight: float = 1.0, *, at: StepInfo
    ) -> dict[str, Tensor]:
        with self.lone_samples.allowed(part), self.autocast():
            terms = learner.objective(learner.net, part, at)
        loss = terms.loss * weight if weight != 1 else terms.loss
        loss.backward()
        parts = {name: value.detach() * weight for name, value in terms.parts.items()} if terms.parts else {}
        return {"loss": loss.detach(), **parts}
