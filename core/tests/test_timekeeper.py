"""A run that has so many seconds ends in time, whatever the machine does: on a clock of the test's own."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from ftrun.runs.progress import Progress
from ftrun.spec.course import Course
from ftrun.train.timekeeper import Costs, Timekeeper, fitted

HEAD, ALL = 0, 1


class Machine:
    """A job whose steps and epochs take the time that the test says."""

    def __init__(self, seconds, costs, phases=(40, 100), per_epoch=20, progress=None):
        self.now = 0.0
        self.lines = []
        self.course = Course(per_epoch, tuple(phases), (False,) * len(phases))
        self.learner = SimpleNamespace(plan=SimpleNamespace(ends=self.course.ends))
        self.progress = progress or Progress()
        self.keeper = Timekeeper(seconds, costs, lambda: self.now, self.lines.append)
        self.rates = []

    def follow(self, course):
        self.course = course

    def run(self, real, slower=lambda now: 1.0, until=None):
        """Go through the loop as `train.loop` does; real: what it takes in fact."""
        progress = self.progress
        self.keeper.begin(self, progress)
        while progress.epoch < self.course.epochs:
            epoch = progress.epoch + 1
            phase = self.course.phase(epoch)
            if not self.course.done(phase, progress.step):
                self.now += real.begin[phase] * slower(self.now)
            while True:
                self.rates.append(self.course.progress(progress.step))
                self.now += real.step[phase] * slower(self.now)
                progress.step += 1
                self.keeper.after_step(self, progress)
                if progress.step >= self.course.end(epoch):
                    break
                if until is not None and progress.step >= until:
                    return self
            self.now += real.epoch[phase] * slower(self.now)
            progress.epoch = epoch
            self.keeper.after_epoch(self, progress)
        self.now += real.end
        return self


def costs(step=(0.01, 0.5), epoch=(0.1, 2.0), begin=(5.0, 0.0), end=3.0):
    return Costs(list(step), list(epoch), list(begin), end)


def is_even(rates):
    return rates[0] == 0 and all(a < b < 1 for a, b in pairwise(rates))


@pytest.mark.parametrize("seconds", [30, 60, 300, 3000])
def test_a_run_as_fast_as_was_measured_ends_in_time(seconds):
    machine = Machine(seconds, costs()).run(costs())
    assert 0.93 * seconds <= machine.now <= 1.01 * seconds
    assert machine.course.progress(machine.course.steps) == 1
    assert is_even(machine.rates)


@pytest.mark.parametrize(
    "real",
    [
        costs(step=(0.01, 1.5), epoch=(0.1, 4.0), begin=(15.0, 0.0)),
        costs(step=(0.001, 0.1), epoch=(0.05, 0.4), begin=(0.0, 0.0)),
        costs(step=(0.2, 0.5)),
        costs(step=(0.01, 0.05)),
    ],
)
def test_what_was_measured_wrongly_is_noticed(real):
    machine = Machine(120, costs()).run(real)
    assert 0.9 * 120 <= machine.now <= 1.05 * 120
    assert is_even(machine.rates)
    assert machine.progress.knots


@pytest.mark.parametrize("factor", [0.4, 2.0, 4.0])
def test_a_machine_that_is_slower_or_faster_from_halfway_on_is_noticed(factor):
    machine = Machine(200, costs()).run(costs(), lambda now: factor if now > 100 else 1.0)
    assert 0.9 * 200 <= machine.now <= 1.05 * 200
    assert is_even(machine.rates)
    word = "slower" if factor > 1 else "faster"
    assert any(f": {word} than planned" in line for line in machine.lines)


def test_a_run_goes_on_with_the_plan_that_it_had():
    """The time between two processes does not count, and progress goes on from where it was."""
    real = costs()
    whole = Machine(120, costs()).run(real)
    first = Machine(120, costs()).run(real, until=90)
    second = Machine(120, costs(), progress=first.progress)
    second.now, second.course = first.now, first.course
    second.run(real)
    assert second.progress.step == pytest.approx(whole.progress.step, abs=3)
    assert 0.93 * 120 <= second.now <= 1.01 * 120
    assert is_even([*first.rates, *second.rates])


def test_where_no_time_is_left_each_phase_has_a_step():
    machine = Machine(1, costs()).run(costs())
    assert machine.course.phases == (1, 1)
    assert machine.course.epochs == 2


def test_less_than_an_epoch_is_a_run_too():
    machine = Machine(30, costs(step=(0.01, 1.0)), phases=(100,), per_epoch=200)
    machine.keeper.costs = Costs([1.0], [2.0], [0.0], 3.0)
    machine.run(Costs([1.0], [2.0], [0.0], 3.0))
    assert machine.course.epochs == 1
    assert machine.course.phases == (25,)


def test_phases_are_stretched_alike():
    course = Course(20, (40, 100), (False, False))
    longer = fitted(course, 0, 0, Costs([1.0, 1.0], [0.0, 0.0], [0.0, 0.0], 0.0), 280)
    assert longer.phases == (80, 200)
    later = fitted(course, 40, 2, Costs([1.0, 1.0], [0.0, 0.0], [0.0, 0.0], 0.0), 50)
    assert later.phases == (40, 50), "what is done stays as it is"


@pytest.mark.parametrize(("kept", "planned", "seconds", "length"), [(False, 8, 1000, 19), (True, 40, 1, 20)])
def test_a_phase_of_the_head_keeps_embeddings_or_not_as_it_was_planned(kept, planned, seconds, length):
    costs = Costs([1.0, 1.0], [0.0, 0.0], [0.0, 0.0], 0.0, kept=[kept, None])
    assert fitted(Course(20, (planned, 100), (False, False)), 0, 0, costs, seconds).phases[0] == length
