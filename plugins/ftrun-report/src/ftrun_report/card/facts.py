"""What a model card is written from: what a run folder says, and the code that makes the net without ftrun."""

from collections.abc import Mapping

from ftrun import InputSpec, Run
from ftrun_report.snapshot import Snapshot


class Facts(Snapshot):
    """A run and its net.

    code: Python that makes the net with its library alone, the last line its value; None where there is none
    prepare: how inputs are prepared
    base_model: the hub's name of the weights that it started from, where a hub has them
    """

    def __init__(self, run: Run, code: str | None, prepare: InputSpec, base_model: str | None) -> None:
        super().__init__(run)
        self.title = run.name
        self.code = code
        self.input = prepare
        self.base_model = base_model

    @property
    def samples(self) -> Mapping[str, int]:
        """How many samples each split has."""
        samples: Mapping[str, int] = self.resolved["samples"]
        return samples

    @property
    def judged(self) -> int:
        """How many samples the run's metrics come from: those that could be read and have a target."""
        by_target = self.run.evaluated_samples()
        return max(by_target.values(), default=self.samples.get(self.split, 0))
