"""Keeps a run to its time: what is left is planned anew where the machine is slower or faster than was measured."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ftrun.runs.progress import Progress
from ftrun.spec.course import Course

if TYPE_CHECKING:
    from ftrun.train.job import Job

_EVERY = 0.02, 1.0, 10.0  # of the run's time, at least and at most so many seconds: how often within an epoch
_TOLERATED = 0.01  # of the run's time: by which the end may be off before the rest is planned anew
_ROUNDING = 1e-6  # steps
_WORTH_SAYING = 0.2  # of what is left
_SAID_EVERY = 0.1  # of the run's time


@dataclass
class Costs:
    """What a run takes, in seconds. It begins with what was measured before the first step, and follows what happens.

    step: a training step, by phase
    epoch: what an epoch takes in addition to its steps: evaluation on val, saving, by phase
    begin: what a phase takes before its first step, such as a pass of the frozen net
    end: from the last epoch to the end of the process, but for the test: results, report
    """

    step: list[float]
    epoch: list[float]
    begin: list[float]
    end: float
    tested: float = 0.0
    """How many times the evaluation of val by the whole net the one of test takes."""
    kept: list[bool | None] = field(default_factory=list)
    """Whether a phase of the head alone keeps embeddings, by phase: None where more than the head learns."""
    evaluation: float = 0.0
    """Evaluation on val by the whole net."""

    @property
    def after(self) -> float:
        """What comes after the last epoch."""
        return self.end + self.tested * self.evaluation

    def bounded(self, number: int, steps: int, whole: int) -> int:
        """Return so many steps of a phase, or the next number with which it keeps embeddings as it was planned to.

        It keeps them if it has the steps of a pass over all samples, `whole`. If that changed while it goes on, a pass
        of the frozen net would be made for nothing, or too late, and a resumed run would compute in other batches.
        """
        kept = self.kept[number] if self.kept else None
        if kept is None:
            return steps
        return max(steps, whole) if kept else max(1, min(steps, whole - 1))

    def as_json(self) -> dict[str, Any]:
        """Return them as they are now, for resolved.json."""
        return asdict(self)

    def left(self, course: Course, step: int, epoch: int) -> float:
        """Return how long it takes until the last epoch is over, when so many steps and epochs are."""
        return sum(self._phase(course, step, epoch, number) for number in range(len(course.phases)))

    def _phase(self, course: Course, step: int, epoch: int, number: int) -> float:
        done, before = course.done(number, step), course.ends[number - 1] if number else 0
        epochs = max(0, course.ends[number] - max(before, epoch))
        begin = 0.0 if done else self.begin[number]
        return begin + (course.phases[number] - done) * self.step[number] + epochs * self.epoch[number]


def fitted(course: Course, step: int, epoch: int, costs: Costs, seconds: float) -> Course:
    """Return the course whose phases that are left are all stretched alike, so that they are over in `seconds`.

    Nothing fits exactly, since an epoch that is begun is evaluated too: it is the longest that does not take more, but
    at least a step of each phase that has not begun, and a pass of one that keeps embeddings.

    step, epoch: how many are done
    """

    def stretched(factor: float) -> Course:
        lengths = []
        for number, length in enumerate(course.phases):
            done = course.done(number, step)
            left = math.floor((length - done) * factor + _ROUNDING)
            lengths.append(costs.bounded(number, done + left if done else max(1, left), course.steps_per_epoch))
        return course.replanned(step, lengths)

    low, high = 0.0, 1.0
    while costs.left(stretched(high), step, epoch) < seconds and high < 1e6:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if costs.left(stretched(middle), step, epoch) <= seconds else (low, middle)
    return stretched(low)


class Timekeeper:
    """Looks at the clock after steps and epochs, and gives the job another course where it would not end in time.

    seconds: the time that the run has in all
    clock: gives the seconds that it has taken so far, in all its processes
    replanned: called when the job has another course
    """

    def __init__(
        self,
        seconds: float,
        costs: Costs,
        clock: Callable[[], float],
        say: Callable[[str], None] = lambda line: None,
        replanned: Callable[[], None] = lambda: None,
    ) -> None:
        self.costs = costs
        self._seconds = seconds
        self._clock = clock
        self._say = say
        self._replanned = replanned
        part, least, most = _EVERY
        self._every = min(max(part * seconds, least), most)
        self._may_say = self._before = 0.0
        self._epoch_began: float | None = None
        self._first: float | None = None
        """When the first step since the last look was over."""
        self._steps, self._last = 0, 0.0

    def begin(self, job: "Job", progress: Progress) -> None:
        """Give the job the course that ends in time, as far as is known before its first step, or when it goes on."""
        self._epoch_began = None if progress.step > job.course.begin(progress.epoch + 1) else self._clock()
        self._fit(job, progress, aloud=progress.step > 0)

    def after_step(self, job: "Job", progress: Progress) -> None:
        """Look at the clock every few seconds."""
        self._last = self._clock()
        if self._first is None:
            self._first, self._steps = self._last, 0
            phase = job.course.phase(progress.epoch + 1)
            if self._epoch_began is not None:
                self._before = max(0.0, self._last - self._epoch_began - self.costs.step[phase])
            if job.course.done(phase, progress.step) == 1:
                self._fit(job, progress, aloud=False)  # what comes before a phase is over now, however long it took
            return
        self._steps += 1
        is_last = progress.step + 1 == job.course.steps  # what is over cannot be stretched any more
        if is_last or self._last - self._first >= self._every:
            self._measure(job, progress)
            self._fit(job, progress)

    def after_epoch(self, job: "Job", progress: Progress) -> None:
        """Look at the clock when an epoch is saved."""
        self._measure(job, progress, progress.epoch)
        now, phase = self._clock(), job.course.phase(progress.epoch)
        begun = job.course.ends[phase - 1] if phase else 0
        if self._epoch_began is not None and (progress.epoch > begun + 1 or not self.costs.begin[phase]):
            self.costs.epoch[phase] = self._before + now - self._last
        if progress.history and self.costs.kept and not self.costs.kept[phase]:
            self.costs.evaluation = progress.history[-1]["seconds/eval"]
        self._epoch_began, self._first = now, None
        if progress.epoch < job.course.epochs:
            self._fit(job, progress)

    def _measure(self, job: "Job", progress: Progress, epoch: int | None = None) -> None:
        """Take in how long the steps since the last look took."""
        if self._first is not None and self._steps:
            phase = job.course.phase(epoch or progress.epoch + 1)
            self.costs.step[phase] = (self._last - self._first) / self._steps
            self._first, self._steps = self._last, 0

    def _fit(self, job: "Job", progress: Progress, *, aloud: bool = True) -> None:
        left = self._seconds - self._clock() - self.costs.after
        planned = self.costs.left(job.course, progress.step, progress.epoch)
        if abs(planned - left) <= _TOLERATED * self._seconds:
            return
        course = fitted(job.course, progress.step, progress.epoch, self.costs, left)
        if course.phases == job.course.phases:
            return
        before = job.course.steps - progress.step
        job.follow(course)
        progress.phase_steps, progress.knots = (
            list(course.phases),
            [(knot.step, knot.progress, knot.schedule) for knot in course.knots],
        )
        self._replanned()
        after = course.steps - progress.step
        if aloud and abs(after - before) > _WORTH_SAYING * before and self._clock() >= self._may_say:
            self._may_say = self._clock() + _SAID_EVERY * self._seconds
            self._say(
                f"step {progress.step}: {'slower' if after < before else 'faster'} than planned; to end in time, "
                f"{after:,} steps are left, not {before:,}"
            )
