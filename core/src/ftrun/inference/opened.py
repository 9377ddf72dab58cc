"""A run, opened again: the net with the weights of its best epoch, as it was built and as it computed.

Whatever uses a run after its training goes through here: `ftrun evaluate`, `ftrun predict`, `ftrun.load`.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError, FtrunError, PluginError
from ftrun.contracts.net import Net
from ftrun.contracts.trees import Tree
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs import checkpoint, environment, recorded
from ftrun.runs.checkpoint import Damaged
from ftrun.runs.folder import RunFolder
from ftrun.spec.runspec import RunSpec
from ftrun.train.device import choose_device, if_here
from ftrun.train.flips import over_flips
from ftrun.train.nets import build_net, compile_net
from ftrun.train.partstates import PartStates
from ftrun.train.tuning import ComputeFormat

NET = ("backbone", "modifiers", "head")
"""The keys of a spec whose parts a net is built from."""


@dataclass(frozen=True)
class Opened:
    """A run whose net is ready to compute, in evaluation mode; none of its weights asks for a gradient."""

    folder: RunFolder
    resolved: Mapping[str, Any]
    """What resolved.json holds."""
    best: Mapping[str, Any]
    """What net.json of the best epoch holds."""
    catalogue: Catalogue
    spec: RunSpec
    net: Net
    """`net.input` prepares what it takes, `net.targets` says what it predicts."""
    states: PartStates
    """What its parts were built from, and will be again."""
    setting: ComputeFormat
    """Precision and memory format that the run computed in."""
    device: torch.device

    @property
    def micro_batch(self) -> int | None:
        """Samples that went through the net at once, where memory was short."""
        return self.best.get("micro_batch")

    def ready(self, batch: Batch) -> Batch:
        """Return a batch as the net takes it, on its device."""
        batch = batch.to(self.device)
        return replace(batch, inputs=self.net.prepare(batch.inputs))

    def outputs(self, batch: Batch, *, flips: bool | None = None) -> dict[str, Tree]:
        """Return what the net gives for a collated batch, by target, in the precision of the run.

        flips: whether it is the mean over each image and its mirror image; as the run was evaluated if not given
        """

        def forward(batch: Batch) -> dict[str, Tree]:
            with self.setting.autocast(self.device):
                return dict(self.net(batch.inputs))

        mirrored = self.spec.evaluation.flips if flips is None else flips
        return (over_flips(forward) if mirrored else forward)(self.ready(batch))

    def not_as_it_was(self) -> list[str]:
        """Return what is another one than in the run, and might change a last digit: versions, device."""
        now = {
            "device": str(self.device),
            "threads": self.resolved.get("threads"),
            "plugins": environment.plugins_of(self.spec, self.catalogue, self.net.targets),
            "versions": environment.versions(),
        }
        return environment.differences(self.resolved, now)


def open_run(
    folder: RunFolder,
    device: str | None = None,
    *,
    compiled: bool = False,
    catalogue: Catalogue | None = None,
    keys: Collection[str] = (),
    trust: bool = False,
) -> Opened:
    """Build the net of a run and give it the weights of the best epoch; nothing is fetched, no data is read.

    device: as `--device`; that of the run, if it is here, or the best one here if not given
    compiled: whether to compile the net where the run did
    catalogue: where its parts come from; what is installed, loaded afresh, and the run's own, if not given
    keys: those of the parts that are wanted besides the net's; `spec` has the others as plain JSON
    trust: whether local parts in the folder may run although this user has never run them

    Raises SpecError where there is no best epoch yet, PluginError where a plugin is gone or has become another one,
    Damaged where the checkpoint is.
    """
    best = folder.best()
    resolved = folder.read_json("resolved.json")
    keys = {*NET, *keys}
    known = catalogue or folder.catalogue(keys, trust=trust)
    described = recorded.checked(recorded.Resolved, resolved, folder.path / "resolved.json", lambda: known)
    with _same_plugins(resolved, known):
        spec = environment.recorded_spec(folder, resolved, known, keys)
    about = checkpoint.load_net(best)
    needed = recorded.checked(recorded.NetRecord, about, best / checkpoint.NET, lambda: known)
    if _learned(needed) != _learned(described):
        raise Damaged(f"{best / checkpoint.NET}: is damaged: its targets are not those of resolved.json.")
    where = choose_device(device or if_here(resolved["device"]))
    setting = ComputeFormat(resolved["precision"], resolved["memory_format"])
    with _same_plugins(resolved, known):
        states = PartStates(checkpoint.load_parts(best), about["input"])
        net = _built(spec, needed, states, best).to(where)
        setting.apply(net)
        checkpoint.load_weights(best, net.model, net.extra_modules)
    net.eval().requires_grad_(False)
    if compiled and spec.train.compile:
        compile_net(net, where)
    return Opened(folder, resolved, about, known, spec, net, states, setting, where)


def _learned(record: recorded.NetRecord | recorded.Resolved) -> dict[str, Any]:
    return {name: target.learned() for name, target in record.targets.items()}


def _built(spec: RunSpec, needed: recorded.NetRecord, states: PartStates, best: Path) -> Net:
    try:
        return build_net(spec, needed.targets, states)
    except FtrunError as error:
        if error.where == "resolved.json":  # it has the same input, but this one was taken
            error.where = str(best / checkpoint.NET)
        raise


@contextmanager
def _same_plugins(resolved: Mapping[str, Any], catalogue: Catalogue) -> Iterator[None]:
    """Raise PluginError for whatever goes wrong inside, if plugins of another version are here."""
    try:
        yield
    except (PluginError, DataError):
        raise
    except Exception as error:
        changed = _changed(resolved, catalogue)
        if not changed:
            raise
        raise PluginError(
            f"this run cannot be built with the plugins that are here: {'; '.join(changed)}. Install the version that "
            f"it was made with. What went wrong: {type(error).__name__}: {error}"
        ) from error


def _changed(resolved: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    """Return the plugins of the run that are of another version than they were."""
    try:
        return environment.changed_plugins(resolved["plugins"], environment.plugins_now(resolved["plugins"], catalogue))
    except (KeyError, TypeError):  # resolved.json is damaged, and says so itself
        return []
