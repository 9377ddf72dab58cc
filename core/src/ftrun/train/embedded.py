"""Embeddings of a frozen backbone, computed once: epochs that see the same inputs read them in place of the inputs.

What is kept is `Net.embed(x)`, so that only the head runs in such an epoch. It is the same computation in the same
precision, and for what is read in order, in the same batches: figures do not change by a bit. Without a cache, or room
in it, a run has its embeddings in memory, and so the same figures.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ftrun.contracts.data import Batch, Split, get_items, reads_values
from ftrun.contracts.errors import DataError
from ftrun.contracts.net import Net
from ftrun.data import cachefolder, fingerprint
from ftrun.data.code import code_of
from ftrun.data.loader import Loader
from ftrun.data.mapped import Content, Done, Entry, MappedSplit, key_of, options_of, same_bits
from ftrun.data.reader import identity
from ftrun.runs import environment
from ftrun.train import memory
from ftrun.train.forward import blaming
from ftrun.train.memory import Portions
from ftrun.train.netdigest import NetDigest
from ftrun.train.signals import Signals

if TYPE_CHECKING:
    from ftrun.train.job import Job


class Embeddings:
    """Gives the loaders of embeddings, in epochs that have them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loaders: dict[str, Loader] = {}
        self._fingerprints: dict[str, str | None] = {}
        self._constant: dict[tuple[Any, ...], list[Any]] = {}
        self._codes: dict[frozenset[type], dict[str, str]] = {}
        self._digests: dict[int, NetDigest] = {}

    def loader(
        self, job: "Job", name: str, epoch: int, portions: Portions, signals: Signals | None = None
    ) -> Loader | None:
        """Batches of embeddings of train or val in `epoch` (from 1), where its inputs are those of other epochs too.

        None where a head or the objective takes no embeddings, where not the head alone learns, where inputs change
        from epoch to epoch, where data or targets cannot be told without them, and where there is no room.

        portions: make the forward passes
        """
        learner = job.learner
        phase = learner.plan.number(epoch)
        if name == "train" and job.course.phases[phase] < job.feed.steps_per_epoch:
            return None  # it ends before every sample was seen once
        net = learner.evaluated_net if name == "val" else learner.net
        progress = job.course.progress_of(epoch)
        augmented = name == "train" and bool(job.feed.ready.augmenter.at(progress))
        mixed = name == "train" and bool(job.feed.mixing.at(progress))
        if not self._may(job, name, epoch) or mixed or (augmented and not learner.plan.views(epoch)):
            return None
        if net is not learner.net and self._digest(net) != self._digest(learner.net):  # an average that may still move
            return None
        return self._loader(job, net, name, epoch if augmented else None, portions, signals, phase)

    def of_best(
        self, job: "Job", name: str, epoch: int, portions: Portions, signals: Signals | None = None
    ) -> Loader | None:
        """The same of any split, for the net that is judged, with the weights of `epoch`, the best one.

        None where the whole net has to run: where `ftrun evaluate` would compute otherwise, too.
        """
        if not self._may(job, name, epoch) or job.spec.train.compile:
            return None
        return self._loader(job, job.learner.evaluated_net, name, None, portions, signals, -1)

    @staticmethod
    def _may(job: "Job", name: str, epoch: int) -> bool:
        """Whether an epoch asks nothing of the net but what its head makes of embeddings: no mirror images, say."""
        if job.evaluator.flips and name != "train":
            return False
        return job.learner.objective.takes_embeddings and job.learner.plan.only_head(epoch)

    def _loader(
        self,
        job: "Job",
        net: Net,
        name: str,
        epoch: int | None,
        portions: Portions,
        signals: Signals | None,
        phase: int,
    ) -> Loader | None:
        """epoch: the one whose augmentation is to be seen; None for none. phase: whose inputs of train"""
        source = self._fingerprint(job, name)
        follows = any(target.follows() for target in net.targets.values())
        if source is None or net.heads or follows or not reads_values(dict(job.feed.splits.items())[name], net.targets):
            return None
        depends = [portions.size, *self._depends(job, net, name, epoch, phase)]
        key = key_of(depends)
        if key not in self._loaders:
            try:
                split = _Embedding(job, net, name, epoch, phase, source, portions, signals, self._say).split(depends)
            except _Smaller:
                return self._loader(job, net, name, epoch, portions, signals, phase)
            if split is None:
                return None
            self._loaders[key] = Loader(
                name,
                split,
                identity,  # they are collated
                job.feed.corrupt,
                batch_size=job.spec.train.batch_size,
                workers=None,
                device=job.engine.device,
                sample_bytes=split.inputs[0].nbytes,
                order=job.feed.order_of(name),
                targets=net.targets,
            )
        return self._loaders[key]

    def _depends(self, job: "Job", net: Net, name: str, epoch: int | None, phase: int) -> list[Any]:
        """All that decides what comes out: inputs, net, code and options, and how it is computed."""
        spec = job.spec
        augment = {} if epoch is None else dict(spec.augmentations(job.course.progress_of(epoch)))
        draw = None if epoch is None else job.learner.plan.draw(epoch)
        which = name, draw, tuple(augment), phase if name == "train" else -1
        if which not in self._constant:  # what stays as it is during a run
            parts = (spec.backbone, *spec.modifiers, *augment.values())
            self._constant[which] = [
                self._fingerprint(job, name),
                [
                    type(net.input).__qualname__,
                    net.input.model_dump(mode="json"),
                    job.feed.input_of(name, phase).collate_options(),
                    job.feed.train_inputs[phase].seen.collate_options() if name == "train" else None,
                ],
                [options_of(part) for part in parts],
                job.states.digest(),
                self._code(frozenset(type(each) for each in (*parts, net.input, *net.modules()))),
                [str(job.engine.setting), spec.train.batch_size, *environment.arithmetic(job.engine.device)],
                [spec.seed, which[1]] if augment else [],
            ]
        return [self._digest(net), *self._constant[which]]

    def _code(self, classes: frozenset[type]) -> dict[str, str]:
        if classes not in self._codes:  # of one split as of another, and slow to find out: many files are looked at
            self._codes[classes] = code_of(classes)
        return self._codes[classes]

    def _fingerprint(self, job: "Job", name: str) -> str | None:
        if name not in self._fingerprints:
            self._fingerprints[name] = fingerprint.of_collated(dict(job.feed.splits.items())[name])
        return self._fingerprints[name]

    def _digest(self, net: Net) -> str:
        return self._digests.setdefault(id(net), NetDigest(net)).now()


@dataclass(frozen=True)
class _Embedding:
    """Makes the embeddings of a split, or finds them in the cache."""

    job: "Job"
    net: Net
    name: str
    epoch: int | None
    phase: int
    source: str
    portions: Portions
    signals: Signals | None
    say: Callable[[str], None]

    @torch.no_grad()
    def split(self, depends: list[Any]) -> MappedSplit | None:
        """None where no sample can be read, and where there is no room for them."""
        self.net.eval()
        split, key = self._split, key_of(depends)
        loader = self.job.feed.loader_in(self.name, self.phase)
        probe = loader.one_in_order(int(key, 16), self._ready)  # not the first one each time
        if probe is None:
            return None
        example = self._embed(probe).cpu()
        title = f"{self.job.spec.dataset.name}, {self.name}: embeddings of {self.job.spec.backbone.name}"
        entry = Entry(depends, title, (len(split), *example.shape[1:]), example.dtype)
        content = self._content(entry, probe, example)
        if content is None:
            return None
        reasons = _unreadable(split, content.unread)

        def anew(index: int) -> Batch:
            raise reasons.get(index) or DataError(f"sample {index} could not be read when the backbone ran.")

        about: dict[str, Any] = {"key": entry.key, "embedded": True, "source": self.source}
        return MappedSplit(split, content, anew, targets=self.net.targets, **about)

    def _content(self, entry: Entry, probe: Batch, example: Tensor) -> Content | None:
        """From the cache where it holds just what is computed now, else computed; in memory if it cannot be kept."""
        if cachefolder.limit():
            try:
                content = entry.read()
                stale = content is not None and not self._still_so(content, probe, example)
                if stale:
                    self.say(
                        f"{self.name}: the cache holds other embeddings than are computed now, so they are made anew"
                    )
                if content is None or stale:
                    content = entry.write(self._keep, replace=stale)
                if content is not None:
                    return content
                self.say(f"{self.name}: no room in the cache for the embeddings of {entry.shape[0]:,} samples")
            except OSError as error:
                self.say(f"{self.name}: the cache {entry.path.parent} fails: {error.strerror or error}")
        if not memory.is_small(entry.bytes):
            self.say(f"{self.name}: no room for its embeddings, so the backbone runs in each epoch")
            return None
        inputs = torch.zeros(entry.shape, dtype=entry.dtype)
        return Content(inputs, self._fill(inputs, "in memory for this run"))

    def _still_so(self, content: Content, probe: Batch, example: Tensor) -> bool:
        """Whether a batch comes out as it is kept, and what could not be read then cannot be read now."""
        ids = probe.ids.cpu()
        return same_bits(content.inputs[ids], example) and len(_unreadable(self._split, content.unread)) == len(
            content.unread
        )

    def _keep(self, content: Content, done: Done) -> None:
        done.unread = self._fill(content.inputs, "kept")

    def _fill(self, inputs: Tensor, where: str) -> list[int]:
        """Run the backbone on each sample, and give the indices of those that cannot be read."""
        started, missing = perf_counter(), torch.ones(len(inputs), dtype=torch.bool)
        for batch in self.job.feed.loader_in(self.name, self.phase).in_order(self._ready):
            ids = batch.ids.cpu()
            inputs[ids] = self._embed(batch).cpu()
            missing[ids] = False
            if self.signals:
                self.signals.check()
        augmented = "" if self.epoch is None else " as augmented"
        self.say(
            f"{self.name}: the frozen backbone has run once on each of {len(inputs):,} samples{augmented}, "
            f"in {perf_counter() - started:.1f} s; its embeddings are {where}"
        )
        unread: list[int] = missing.nonzero().flatten().tolist()
        return unread

    @property
    def _split(self) -> Split:
        return dict(self.job.feed.splits.items())[self.name]

    def _ready(self, batch: Batch) -> Batch:
        job, epoch = self.job, self.epoch
        ready = job.feed.ready_in(self.phase) if self.name == "train" else job.feed.ready
        if epoch is None:
            return ready(batch)
        return ready.at(job.course.progress_of(epoch))(batch, job.learner.plan.draw(epoch))

    def _embed(self, batch: Batch) -> Tensor:
        size = self.portions.size
        embeddings = self.portions.outputs(self._forward, batch)
        if self.portions.size != size:
            raise _Smaller
        return embeddings

    def _forward(self, batch: Batch) -> Tensor:
        with self.job.engine.autocast(), blaming(self.net):
            return self.net.embed(batch.inputs)


class _Smaller(Exception):
    """Memory is short: fewer samples go through the net at once, and other last bits come out."""


def _unreadable(split: Split, indices: Collection[int]) -> dict[int, DataError]:
    """Which of these samples cannot be read now, and why."""
    found = {}
    for index in indices:
        try:
            get_items(split, [index])
        except DataError as error:
            found[index] = error
    return found
