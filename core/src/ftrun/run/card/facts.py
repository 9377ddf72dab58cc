"""What a model card is written from: what a run folder says, and the code that makes the net without ftrun."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftrun.contracts.inputs import InputSpec
from ftrun.run.compare.contender import Contender, figures_of
from ftrun.runs import predictions


@dataclass(frozen=True)
class Facts:
    """A run and its net."""

    run: Contender
    title: str
    code: str | None
    """Python that makes the net with its library alone, the last line its value; None where there is none."""
    input: InputSpec
    """How inputs are prepared."""
    base_model: str | None
    """The hub's name of the weights that it started from, where a hub has them."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The run's spec, with every default."""
        spec: Mapping[str, Any] = self.run.resolved["spec"]
        return spec

    @property
    def train(self) -> Mapping[str, Any]:
        """Its key `train`."""
        return self.run.train

    @property
    def samples(self) -> Mapping[str, int]:
        """How many there are in each split."""
        samples: Mapping[str, int] = self.run.resolved["samples"]
        return samples

    @property
    def judged(self) -> int:
        """How many samples its figures come from: those that could be read and have a target."""
        by_target = predictions.judged(self.run.folder, self.run.split, self.run.targets)
        return max(by_target.values(), default=self.samples.get(self.run.split, 0))

    def figures(self, split: str) -> dict[str, float]:
        """The figures of a split that are one number."""
        return figures_of(self.run.results.get(split))
