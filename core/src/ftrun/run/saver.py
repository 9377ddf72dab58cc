"""What is written as a run goes on."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ftrun.events import EpochInfo, RunInfo
from ftrun.run import checkpoint
from ftrun.run.assemble import Job
from ftrun.run.folder import RunFolder
from ftrun.run.observers import Observers

if TYPE_CHECKING:
    from ftrun.run.loop import Progress


class Saver:
    """Keeps a run folder up to date, and tells the observers."""

    def __init__(self, job: Job, folder: RunFolder, run: RunInfo, observers: Observers) -> None:
        self.job = job
        self.folder = folder
        self.run = run
        self.observers = observers

    def epoch(self, progress: "Progress", is_best: bool) -> None:
        """An epoch is complete: save it, as the best one too if it is."""
        figures = progress.history[-1]
        self.folder.append_metrics(figures)
        if is_best:
            checkpoint.save(self.folder.checkpoints / "best", self.job.net, describe_net(self.job))
        self.last(progress)
        self.folder.write_status("running", epoch=progress.epoch, step=progress.step)
        info = EpochInfo(progress.epoch, progress.step, figures, is_best)
        self.observers.call("ftrun_after_epoch", run=self.run, epoch=info)

    def last(self, progress: "Progress") -> None:
        """Save the present state as `last`."""
        checkpoint.save(
            self.folder.checkpoints / "last",
            self.job.net,
            describe_net(self.job),
            self.job.optimizer,
            asdict(progress),
        )


def describe_net(job: Job) -> dict[str, Any]:
    """What rebuilds the net around its weights: net.json."""
    spec = job.spec.resolved()
    return {
        "backbone": spec["backbone"],
        "modifiers": spec["modifiers"],
        "input": job.net.input.model_dump(mode="json"),
        "targets": {name: target.model_dump(mode="json") for name, target in job.net.targets.items()},
    }
