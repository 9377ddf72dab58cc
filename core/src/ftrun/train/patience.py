"""`train.patience`: the observer of ftrun's own that ends a run which gets no better."""

from ftrun.contracts.events import EpochInfo
from ftrun.contracts.markers import hookimpl
from ftrun.spec.runspec import RunSpec
from ftrun.train.monitor import Monitor


class Patience:
    """Ends a run after so many epochs in which what is monitored got no better."""

    def __init__(self, epochs: int, monitor: Monitor) -> None:
        self._epochs, self._monitor = epochs, monitor

    @hookimpl
    def ftrun_should_stop(self, epoch: EpochInfo) -> str | None:
        """Return a reason once that many epochs have passed since the last one that was better."""
        if epoch.epoch - epoch.improved_epoch < self._epochs:
            return None
        return f"no better {self._monitor} in {self._epochs} epochs"


def patience_of(spec: RunSpec, monitor: Monitor) -> dict[str, Patience]:
    """Return what the spec's `train.patience` means, by its name; nothing where it is not given."""
    patience = spec.train.patience
    return {"train.patience": Patience(patience, monitor)} if patience is not None else {}
