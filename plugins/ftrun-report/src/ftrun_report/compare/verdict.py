"""Better, worse, or cannot tell: what two runs' metrics allow to say, in words."""

import math
from dataclasses import dataclass
from typing import Literal

from ftrun_report.compare.paired import LEVEL, Difference

Word = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """How the second run does in a metric, and the reason for saying so."""

    word: Word
    reason: str


def verdict(difference: Difference, adjusted: float, runs: int, *, higher_is_better: bool) -> Verdict:
    """Return what may be said: a run is better only where the interval is beyond 0 and the test says it is no chance.

    adjusted: the p value once all `runs` that are compared with the first one are asked for at once
    """
    low, high = difference.interval
    between = f"[{signed(low)}, {signed(high)}]"
    if not (math.isfinite(low) and math.isfinite(high)):
        return Verdict("cannot tell", "the figure is not a number on some of the resamples")
    if low == high == 0:
        return Verdict("cannot tell", "both are the same on these samples")
    if low <= 0 <= high:
        return Verdict("cannot tell", f"the interval {between} includes 0")
    if difference.p >= 1 - LEVEL:
        return Verdict("cannot tell", f"chance alone does as much ({difference.test}: p {shown_p(difference.p)})")
    if adjusted >= 1 - LEVEL:
        return Verdict(
            "cannot tell", f"with {runs} runs compared, p {shown_p(difference.p)} counts as {shown_p(adjusted)} (Holm)"
        )
    better = (difference.second > difference.first) == higher_is_better
    return Verdict("better" if better else "worse", f"the interval {between} is beyond 0")


def signed(value: float) -> str:
    """Return `+0.0123`."""
    return f"{value:+.4f}"


def shown_p(p: float) -> str:
    """Return `0.013`; what is small is `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
