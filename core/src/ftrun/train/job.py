"""The live objects of a run, by what changes them."""

from dataclasses import dataclass, replace

from ftrun.runs.progress import Progress
from ftrun.spec.course import Course, knots_of
from ftrun.spec.runspec import RunSpec
from ftrun.train.engine import Engine
from ftrun.train.evaluate import Evaluator
from ftrun.train.feed import Feed
from ftrun.train.init_from import Source
from ftrun.train.learner import Learner, build_learner
from ftrun.train.memory import Portions
from ftrun.train.monitor import Monitor
from ftrun.train.partstates import PartStates
from ftrun.train.timekeeper import Timekeeper
from ftrun.train.tuning import ComputeFormat


@dataclass
class Job:
    """A run: what feeds, what learns, what computes, what evaluates, and the metric that chooses the best epoch."""

    spec: RunSpec
    feed: Feed
    learner: Learner
    course: Course
    """Its steps: of phases, epochs and all."""
    engine: Engine
    evaluator: Evaluator
    monitor: Monitor
    source: Source | None
    """Of the weights that the run starts from, where the command line names some."""
    states: PartStates
    """What its parts need to be built again."""
    val_was_cut: bool
    """Whether val was cut from train, since the dataset has none."""

    timekeeper: Timekeeper | None = None
    """Of a run that has so many minutes."""

    def follow(self, course: Course) -> None:
        """Go by another course from now on."""
        self.course = course
        self.learner.plan.ends = course.ends

    def follow_recorded(self, progress: Progress) -> None:
        """Go by the course that a run was on when it was saved, if it was planned anew; by the spec's otherwise."""
        course = self.spec.train.course(self.feed.steps_per_epoch)
        if progress.phase_steps:
            course = replace(course, phases=tuple(progress.phase_steps), knots=knots_of(progress.knots))
        self.follow(course)

    def learn_by(self, spec: RunSpec) -> None:
        """Learn by other phases, optimizer and scheduler, before the first step. Inputs are those of earlier phases."""
        inputs = [phase.input for phase in self.spec.train.each_phase]
        self.feed.take_phases([inputs.index(phase.input) for phase in spec.train.each_phase])
        self.spec = spec
        self.learner = build_learner(spec, self.learner.net, self.learner.objective, self.feed.steps_per_epoch)
        self.follow(spec.train.course(self.feed.steps_per_epoch))
        self.evaluator = replace(self.evaluator, net=self.learner.evaluated_net)
        self.compute_in(self.engine.setting)

    def portions(self, progress: Progress) -> Portions:
        """Return what makes forward passes of evaluation, in parts where memory was short before."""
        return self.engine.portions(progress.micro_batch, whole_batch=self.learner.objective.whole_batch)

    def compute_in(self, setting: ComputeFormat) -> None:
        """Train and evaluate in another precision and memory format from now on."""
        self.engine.setting = setting
        self.evaluator = replace(self.evaluator, setting=setting)
        for module in {self.learner.net, self.learner.evaluated_net, self.learner.objective}:
            setting.apply(module)
