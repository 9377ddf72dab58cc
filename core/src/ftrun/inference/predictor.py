"""`ftrun.load`: a run as an object that predicts, in the way that the run was evaluated."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError, FtrunError
from ftrun.contracts.geometry import Size, Warp, stacked
from ftrun.contracts.layout import sample_bytes
from ftrun.contracts.trees import Tree, in_float32, joined, leaves
from ftrun.data.collating import accepted
from ftrun.inference.opened import Opened
from ftrun.train.flips import check_flips
from ftrun.train.memory import Portions

T = TypeVar("T")
U = TypeVar("U")


class Predictor:
    """A run's best epoch. Several threads may use one at a time: nothing in it changes.

    flips: whether predictions are of the mean over each image and its mirror image; as in the run if not given

    Raises FtrunError where the run predicts nothing, SpecError where flips cannot be.
    """

    def __init__(self, run: Opened, flips: bool | None = None) -> None:
        self.targets = dict(run.net.targets)
        """What it predicts: {name: target}."""
        if not self.targets:
            raise FtrunError(f"{run.folder.path}: predicts nothing: its data has no targets. Its net gives embeddings.")
        self.input = run.net.input
        """How inputs are prepared: as in training."""
        self._following = {
            name for name, target in self.targets.items() if target.follows() and self.input.has_pixels()
        }
        self._is_of_one_size = sample_bytes(self.input.collated_layout) is not None
        self._run = run
        self._flips = run.spec.evaluation.flips if flips is None else flips
        if self._flips:
            check_flips(self.input, self.targets, "flips")
        self._portions = Portions(run.device, run.micro_batch)
        self._batch_size = min(run.spec.train.batch_size, run.micro_batch or run.spec.train.batch_size)

    def predict(self, inputs: Any, top: int = 1) -> list[Any]:
        """Return a prediction for each input, in order; of several targets, {target: prediction} for each.

        inputs: one or a list of what `from_user` of the run's input takes, such as paths; or a batch, one tensor
        top: how many of the likeliest classes to give

        Raises DataError for what is no such input, or cannot be read.
        """
        answers: list[Any] = []
        for batch in _in_batches(enumerate(self._listed(inputs)), self._batch_size):
            raw = [accepted(self.input, self.input.from_user(each), _named(each, place)) for place, each in batch]
            answers += self._answers([self._prepared(each) for each in raw], top)
        return answers

    def stream(
        self, sources: Iterable[T], top: int = 1, workers: int | None = None, read: Callable[[T], Any] | None = None
    ) -> Iterator[tuple[T, Any]]:
        """Yield source and prediction of each input, in order; a DataError in its place where it cannot be read.

        Sources are read ahead by threads, two batches at most, whatever their number.

        sources: paths of files, or whatever `read` takes
        workers: how many threads read; chosen by the processor if not given
        read: gives the raw input of a source; raises DataError. If not given, it is read as a file.
        """
        reading: Callable[[Any], Any] = read or self.input.read

        def prepared_or_error(source: T) -> Any:
            try:
                return self._prepared(accepted(self.input, reading(source), str(source)))
            except DataError as error:
                return error

        workers = workers or min(os.cpu_count() or 1, 8)
        for batch in _in_batches(_ahead(sources, prepared_or_error, workers, 2 * self._batch_size), self._batch_size):
            good = [prepared for _, prepared in batch if not isinstance(prepared, DataError)]
            answers = iter(self._answers(good, top) if good else [])
            for source, prepared in batch:
                yield source, prepared if isinstance(prepared, DataError) else next(answers)

    def _prepared(self, raw: Any) -> tuple[Any, tuple[Warp, Size] | None]:
        """Return what of an input is kept until its batch is whole: what the net sees, where that is of one size.

        And where its pixels went, if that is needed to bring predictions back.
        """
        warp = self.input.warp(raw) if self._following else None
        place = (warp, self.input.raw_size(raw)) if warp else None
        return self.input.collate([raw]) if self._is_of_one_size else raw, place

    @torch.no_grad()
    def _answers(self, prepared: Sequence[tuple[Any, tuple[Warp, Size] | None]], top: int) -> list[Any]:
        inputs, places = [each for each, _ in prepared], [place for _, place in prepared if place]
        whole = joined(inputs) if self._is_of_one_size else self.input.collate(inputs)
        outputs = self._portions.outputs(self._outputs, Batch(whole, {}, torch.arange(len(prepared))))
        answers = {}
        for name, target in self.targets.items():
            decoded = target.decode(in_float32(outputs[name]))
            if name in self._following:
                back = stacked([warp for warp, _ in places]).inverse().to(next(leaves(decoded)).device)
                decoded = target.to_raw(decoded, back, [size for _, size in places])
            answers[name] = target.predictions(decoded, top=top)
        if len(answers) == 1:
            return next(iter(answers.values()))
        return [dict(zip(answers, each, strict=True)) for each in zip(*answers.values(), strict=True)]

    def _outputs(self, batch: Batch) -> dict[str, Tree]:
        return self._run.outputs(batch, flips=self._flips)

    def _listed(self, inputs: Any) -> Iterable[Any]:
        """Return the inputs one by one: those of a list or of a batch, one array; or the only one."""
        if isinstance(inputs, str | os.PathLike) or self.input.accepts(inputs):
            return [inputs]
        if isinstance(inputs, list | tuple | Iterator):
            return inputs
        is_batch = getattr(inputs, "ndim", 0) and not self._takes(inputs) and all(map(self._takes, inputs[:1]))
        return inputs if is_batch else [inputs]

    def _takes(self, value: Any) -> bool:
        try:
            return self.input.accepts(self.input.from_user(value))
        except DataError:
            return False


def _named(value: Any, place: int) -> str:
    """Return what messages call a user's input."""
    return os.fspath(value) if isinstance(value, str | os.PathLike) else f"input {place}"


def _in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _ahead(items: Iterable[T], do: Callable[[T], U], workers: int, most: int) -> Iterator[tuple[T, U]]:
    """Yield each item and what `do` gives for it, in order; done by threads, `most` items ahead at most."""
    waiting: deque[tuple[T, Future[U]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(do, item)))
                if len(waiting) >= most:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            pool.shutdown(cancel_futures=True)
