"""What a net predicts for one input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """What a net predicts for one input.

    value: JSON values, as `ftrun predict --json` writes them: {name: score}, or what else its kind of target gives
    holds: the labels that hold, of a target whose thresholds were chosen; None of any other
    """

    value: Any
    holds: tuple[str, ...] | None = None

    @property
    def scores(self) -> Mapping[str, float]:
        """By name: probabilities of the likeliest classes, the likeliest first; of each label; or the values.

        Empty for a kind of target that gives something else; see `value`.
        """
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def name(self) -> str:
        """The likeliest class or label; of values, the first one's name."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """Its probability; of values, the first one."""
        return self.scores[self.name]
