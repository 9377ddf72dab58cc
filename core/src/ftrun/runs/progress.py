"""How far a run is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from time import perf_counter
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ftrun.data.corrupt import UnreadableSample

T = TypeVar("T")


@dataclass(config=ConfigDict(extra="forbid"))
class Progress:
    """With the weights, their average and the optimizer's state, all there is to know of a run at any step."""

    epoch: Annotated[int, Field(ge=0)] = 0
    """Epochs that are complete."""
    step: Annotated[int, Field(ge=0)] = 0
    """Optimizer steps that are done, those that were skipped included: the place in the order of samples."""

    sums: dict[str, float] = field(default_factory=dict)
    """Of the epoch that is going on: the loss, and each part of it, summed over the samples so far."""
    samples: Annotated[int, Field(ge=0)] = 0
    """Of the epoch that is going on: samples that it has trained on."""
    seconds: float = 0.0
    """Of the epoch that is going on: time that its training took in processes that have ended."""

    seconds_of: dict[str, float] = field(default_factory=dict)
    """Of the whole run, in all its processes: until the first step, waiting for data, writing checkpoints, in total."""

    best_epoch: int = 0
    best_val: dict[str, Any] = field(default_factory=dict)
    """What `evaluate` gave for val in the best epoch."""
    improved_epoch: int = 0
    """The last epoch in which what is monitored got better: what patience counts from. An epoch that is kept for its
    smaller loss alone is none."""
    undefined: bool = False
    """Whether what is monitored was undefined in some epoch, and the user knows."""
    stopped: str = ""
    """Why no epoch comes after these, although the spec has more; empty while nothing has ended the run."""
    stopped_by: str = ""
    """What gave that reason: train.patience, or an observer."""
    history: list[dict[str, int | float]] = field(default_factory=list)
    """Each epoch's metrics: the lines of metrics.jsonl."""

    phase_steps: list[Annotated[int, Field(ge=1)]] = field(default_factory=list)
    """Steps of each phase, where the run was planned anew for its time; empty where they are those of the spec."""
    knots: list[tuple[int, float, float]] = field(default_factory=list)
    """Where it was: step, progress of the run and of the schedule, as `Course` has them."""

    rate_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on every learning rate: less than 1 once the run went back from where it diverged."""
    went_back: int = 0
    """How often it did."""
    skipped: list[int] = field(default_factory=list)
    """Steps that changed nothing, because their loss or gradient was not finite."""
    micro_batch: Annotated[int, Field(ge=1)] | None = None
    """Samples that fit into memory at once, where a whole batch did not."""
    corrupt: list[UnreadableSample] = field(default_factory=list)
    """Samples that cannot be read."""

    def count(self, means: Mapping[str, float], samples: int) -> None:
        """Take in the mean loss, and its parts, of a step with so many samples."""
        for name, value in means.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * samples
        self.samples += samples

    def took(self, what: str, began: float) -> None:
        """Count the time since `began`, by perf_counter, as spent on `what`."""
        self.seconds_of[what] = self.seconds_of.get(what, 0.0) + perf_counter() - began

    def timed(self, what: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time that it takes to get them is counted as spent on `what`."""
        iterator = iter(items)
        while True:
            began = perf_counter()
            item = next(iterator, None)
            self.took(what, began)
            if item is None:
                return
            yield item
