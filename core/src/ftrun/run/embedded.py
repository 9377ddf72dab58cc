"""Embeddings of a frozen backbone, computed once: epochs that see the same inputs read them in place of the inputs.

What is kept is `pool(features(x))`, so that only the head runs in such an epoch. It is the same computation in the same
precision, and for val, which is read in order, in the same batches: the figures of val do not change by a bit.
"""

import hashlib
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ftrun import cachefolder
from ftrun.building import blame_all
from ftrun.data import Batch
from ftrun.net import Net
from ftrun.run import fingerprint
from ftrun.run.loader import Loader
from ftrun.run.mapped import Entry, MappedSplit, Unreadable
from ftrun.run.memory import Portions
from ftrun.run.signals import Signals

if TYPE_CHECKING:
    from ftrun.run.assemble import Job


class Embeddings:
    """Gives the loaders of embeddings, in epochs that have them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loaders: dict[str, Loader] = {}
        self._fingerprints: dict[str, str | None] = {}
        self._digests: dict[int, tuple[list[int], str]] = {}

    def loader(
        self, job: "Job", name: str, epoch: int, portions: Portions, signals: Signals | None = None
    ) -> Loader | None:
        """Batches of embeddings of train or val in `epoch` (from 1), where its inputs are those of other epochs too.

        None where something but the head learns, where inputs are augmented anew in each epoch, where the data cannot
        be told from other data, and where there is no cache or no room in it.

        portions: make the forward passes
        """
        net = job.judged if name == "val" else job.net
        augmented = name == "train" and bool(job.augmentations)
        if not job.plan.only_head(epoch) or (augmented and not job.plan.views(epoch)) or not cachefolder.limit():
            return None
        digest, data = self._digest(net), self._fingerprint(job, name)
        if data is None or digest != self._digest(job.net):  # an average of the weights may still move
            return None
        depends = [
            [data, digest, net.input.model_dump(mode="json"), net.input.collate_options(), str(job.setting)],
            job.spec.backbone.model_dump(mode="json"),  # how it pools may be an option of its own
            [job.device.type, torch.get_num_threads(), torch.__version__, job.spec.train.batch_size],
            [job.spec.seed, job.plan.draw(epoch), job.spec.resolved()["augment"]] if augmented else [],
        ]
        key = repr(depends)
        if key not in self._loaders:
            loader = self._make(job, net, name, epoch, augmented, depends, portions, signals)
            if loader is None:
                return None
            self._loaders[key] = loader
        return self._loaders[key]

    def _fingerprint(self, job: "Job", name: str) -> str | None:
        if name not in self._fingerprints:
            self._fingerprints[name] = fingerprint.of_collated(dict(job.splits.items())[name])
        return self._fingerprints[name]

    def _digest(self, net: Net) -> str:
        """Of all that an embedding depends on in the net; computed anew only where some weight was written to."""
        written = [tensor._version for tensor in (*net.parameters(), *net.buffers())]
        known = self._digests.get(id(net))
        if known is None or known[0] != written:
            known = self._digests[id(net)] = (written, _digest(net))
        return known[1]

    def _make(
        self,
        job: "Job",
        net: Net,
        name: str,
        epoch: int,
        augmented: bool,
        depends: list[Any],
        portions: Portions,
        signals: Signals | None,
    ) -> Loader | None:
        source, split = job.loaders[name], dict(job.splits.items())[name]
        started = perf_counter()

        def ready(batch: Batch) -> Batch:
            return job.ready(batch, epoch if augmented else None)

        def forward(batch: Batch) -> Tensor:
            with job.setting.autocast(job.device):
                return net.pool(net.features(batch.inputs))

        def embed(batch: Batch) -> Tensor:
            return portions.outputs(forward, batch)

        def fill(inputs: Tensor) -> Unreadable:
            missing = torch.ones(len(split), dtype=torch.bool)
            for batch in source.in_order(ready):
                ids = batch.ids.cpu()
                inputs[ids] = embed(batch).cpu()
                missing[ids] = False
                if signals:
                    signals.check()
            self._say(
                f"{name}: the frozen backbone has run once on each of {len(split):,} samples"
                f"{' as augmented' if augmented else ''}, in {perf_counter() - started:.1f} s; its embeddings are kept"
            )
            reasons = {each.sample: each.reason for each in job.corrupt.found if each.split == name}
            return [(index, reasons[index]) for index in missing.nonzero().flatten().tolist()]

        with torch.no_grad():
            net.eval()
            first = next(source.in_order(ready), None)
            if first is None:
                return None
            example = embed(first)
            title = f"{job.spec.dataset.name}, {name}: embeddings of {job.spec.backbone.name}"
            entry = Entry(depends, title, (len(split), *example.shape[1:]), example.dtype)
            try:
                found = entry.read() or entry.write(fill)
            except OSError:
                return None
        if found is None:
            return None
        mapped = MappedSplit(split, *found, key=entry.key, embedded=True, source=str(self._fingerprint(job, name)))
        return Loader(
            name,
            mapped,
            net.input.collate,
            job.corrupt,
            batch_size=job.spec.train.batch_size,
            workers=None,
            device=job.device,
            sample_bytes=mapped.inputs[0].nbytes,
        )


def output(net: Net, batch: Batch) -> Any:
    """What the net makes of a batch that is ready; of embeddings, what its head does."""
    try:
        return net.head(batch.inputs) if batch.embedded else net(batch.inputs)
    except Exception as error:
        blame_all(error, net.parts)
        raise


def _digest(net: Net) -> str:
    found = hashlib.sha256()
    head = f"{net.head_path}."
    for name, module in net.model.named_modules():
        if not f"{name}.".startswith(head):
            found.update(f"{name} {type(module).__name__} {module.extra_repr()}\n".encode())
    for name, tensor in net.model.state_dict().items():
        if not name.startswith(head):
            found.update(fingerprint.bytes_of(tensor))
    return found.hexdigest()
