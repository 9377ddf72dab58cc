"""The course of a run: which steps its phases and epochs have, and how far it is at each step. Pure arithmetic."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, Self

_LONGEST_WARM_UP = 100  # steps


class Knot(NamedTuple):
    """A step, and how far run and schedule are there, 0 to 1."""

    step: int
    progress: float
    schedule: float


_STEP = attrgetter("step")


@dataclass(frozen=True)
class Course:
    """Phases as steps. An epoch is a pass over the training samples; a phase may end within one, which it cuts short.

    steps_per_epoch: optimizer steps of a whole epoch
    phases: steps of each phase, at least one
    restarts: whether the schedule begins anew with each phase
    knots: where what was left was planned anew, in order: progress goes on from where it was, evenly, to 1 at the end
    """

    steps_per_epoch: int
    phases: tuple[int, ...]
    restarts: tuple[bool, ...]
    knots: tuple[Knot, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self._begins[-1]

    @property
    def epochs(self) -> int:
        """Epochs of the run, those that are cut short included."""
        return self.ends[-1]

    @cached_property
    def ends(self) -> list[int]:
        """The last epoch (from 1) of each phase."""
        return list(accumulate(-(-steps // self.steps_per_epoch) for steps in self.phases))

    @cached_property
    def _begins(self) -> list[int]:
        """The first step (from 0) of each phase, and where the last one ends."""
        return [0, *accumulate(self.phases)]

    def phase(self, epoch: int) -> int:
        """Return the index of the phase that `epoch` (from 1) is in."""
        return min(bisect_left(self.ends, epoch), len(self.ends) - 1)

    def phase_at(self, step: int) -> int:
        """Return the index of the phase that takes `step` (from 0)."""
        return next((index for index, end in enumerate(self._begins[1:]) if step < end), len(self.phases) - 1)

    def done(self, phase: int, step: int) -> int:
        """Return how many steps of a phase (index) are done before `step`."""
        return min(max(step - self._begins[phase], 0), self.phases[phase])

    def begin(self, epoch: int) -> int:
        """Return the first step (from 0) of `epoch` (from 1)."""
        phase = self.phase(epoch)
        before = self.ends[phase - 1] if phase else 0
        return self._begins[phase] + (epoch - 1 - before) * self.steps_per_epoch

    def end(self, epoch: int) -> int:
        """Return the first step after `epoch` (from 1)."""
        return min(self.begin(epoch) + self.steps_per_epoch, self._begins[self.phase(epoch) + 1])

    def progress(self, step: int) -> float:
        """Return how far the run is at `step` (from 0), 0 to 1."""
        return self._between(step, 0, self.steps, "progress")

    def progress_of(self, epoch: int) -> float:
        """Return how far the run is where `epoch` (from 1) begins, 0 to 1; planning anew later does not change it."""
        return self.progress(self.begin(epoch))

    def schedule_progress(self, step: int) -> float:
        """Return how far the schedule is at `step` (from 0), 0 to 1: of the run, or of what a restart parts of it."""
        begin, end = 0, self.steps
        for begun, restart in zip(self._begins, self.restarts, strict=False):
            if restart and step >= begun:
                begin = begun
            elif restart:
                end = begun
                break
        return self._between(step, begin, end, "schedule")

    def _between(self, step: int, begin: int, end: int, which: str) -> float:
        """Return how far `step` is from one step to another, on the line that goes through the knots between them."""
        first, last, low, high = begin, end, 0.0, 1.0
        if self.knots:
            after = bisect_right(self.knots, step, key=_STEP)
            if after and (knot := self.knots[after - 1]).step > begin:
                first, low = knot.step, getattr(knot, which)
            if after < len(self.knots) and (knot := self.knots[after]).step < end:
                last, high = knot.step, getattr(knot, which)
        return low + (high - low) * (step - first) / (last - first)

    def warm_up(self, step: int) -> float:
        """Return the factor on every learning rate at `step` (from 0): it rises where a phase after the first begins.

        Stages that were frozen meet a trained head, and an optimizer whose averages are of other gradients. The rise
        takes half of the phase's first epoch, at most 100 steps, and does not depend on the length of the phase: a run
        that is made longer does not rise twice.
        """
        length = min(self.steps_per_epoch // 2, _LONGEST_WARM_UP)
        for begun in self._begins[1:-1]:
            if begun <= step < begun + length:
                return (step - begun + 1) / (length + 1)
        return 1.0

    def rate_factor(self, schedule: Callable[[float], float], step: int) -> float:
        """Return the factor on every learning rate at `step` (from 0): the schedule's, times `warm_up`.

        schedule: from progress, 0 to 1, to a factor
        """
        return schedule(self.schedule_progress(step)) * self.warm_up(step)

    def replanned(self, step: int, phases: Sequence[int]) -> Self:
        """Return the course with other lengths of the phases from `step` on: what is done stays as it is."""
        knot = Knot(step, self.progress(step), self.schedule_progress(step))
        before = (each for each in self.knots if each.step < step)
        return replace(self, phases=tuple(phases), knots=(*before, knot))


def knots_of(recorded: Sequence[Sequence[float]]) -> tuple[Knot, ...]:
    """Return knots as JSON has them, [step, progress, schedule] each."""
    return tuple(Knot(int(step), float(progress), float(schedule)) for step, progress, schedule in recorded)
