"""What goes into the event files, and when."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

import ftrun

_AXES = ("epoch", "step")  # what figures are drawn against, not figures


class Writing:
    """Follows one run.

    Scalars, against the epoch: each epoch's figures by their names, and at the end the results at the best epoch,
    named `best/val/accuracy`, `best/test/accuracy` and so on. Text: the resolved spec. Hyperparameters: its values,
    beside the results.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    @ftrun.hookimpl
    def ftrun_before_run(self, run: ftrun.RunInfo) -> None:
        folder = self._folder / run.name if self._folder else run.folder / "tensorboard"
        if run.epochs_done:  # resumed: what an earlier process wrote of the epochs to come is void
            self._writer = SummaryWriter(str(folder), purge_step=run.epochs_done + 1)
            return
        self._writer = SummaryWriter(str(folder))
        self._writer.add_text("spec", f"```json\n{json.dumps(run.spec, indent=2, ensure_ascii=False)}\n```")
        self._writer.flush()

    @ftrun.hookimpl
    def ftrun_after_epoch(self, epoch: ftrun.EpochInfo) -> None:
        assert self._writer
        for name, value in epoch.metrics.items():
            if name not in _AXES:
                self._writer.add_scalar(name, value, epoch.epoch)
        self._writer.flush()  # to be seen while the run goes on

    @ftrun.hookimpl
    def ftrun_after_run(self, run: ftrun.RunInfo, results: Mapping[str, Any]) -> None:
        assert self._writer
        figures = {
            f"best/{split}/{name}": value
            for split in ("val", "test")
            for name, value in (results[split] or {}).items()
            if isinstance(value, int | float)
        }
        # run_name "." keeps it in the same folder, where TensorBoard takes it for the same run.
        self._writer.add_hparams(dict(_flat(run.spec)), figures, run_name=".", global_step=results["best_epoch"])
        self._close()

    @ftrun.hookimpl
    def ftrun_on_error(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._writer:
            self._writer.close()


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """(`optimizer.lr`, 0.1) and so on: every value in nested objects and lists, but for null."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _flat(each, f"{path}.{index}")
    elif value is not None:
        yield path, value
