import pytest
import torch

from ftrun import Batch, Classes, DataError, TensorSplit
from ftrun.data.collating import Collating
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.loader import Loader
from ftrun_inputs import ImageInput

CPU = torch.device("cpu")
INPUT = ImageInput(size=(4, 4))


class OneByOne:
    """Samples in all sizes, read singly, as from files."""

    def __init__(self, count: int, torn: int | None = None, error: Exception | None = None) -> None:
        self.columns = {"label": torch.arange(count) % 3}
        self.torn = torn
        self.error = error or DataError(f"{torn}.png is torn.")

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, index: int):
        if index == self.torn:
            raise self.error
        return torch.full((1, 3 + index % 3, 5), index, dtype=torch.uint8), {"label": int(self.columns["label"][index])}


def memory(count: int) -> TensorSplit:
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    return TensorSplit(images, {"label": torch.arange(count) % 3})


def loader(split, batch_size=4, workers=0, corrupt=0) -> Loader:
    found = CorruptSamples(corrupt, lambda line: None)
    reading = {"batch_size": batch_size, "workers": workers, "targets": {"label": Classes(names=("a", "b", "c"))}}
    return Loader("train", split, INPUT.collate, found, device=CPU, **reading)


def shuffled(reader: Loader, seed: int, epoch: int) -> list:
    return [batch for step in reader.shuffled(seed, epoch) for batch in step]


def contents(batches) -> list[tuple[list[int], list[int], list[int]]]:
    return [(b.ids.tolist(), b.inputs[:, 0, 0, 0].tolist(), b.targets["label"].tolist()) for b in batches]


def test_every_sample_once_in_order_or_shuffled():
    reader = loader(memory(10))
    assert [ids for ids, _, _ in contents(reader.in_order())] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    found = contents(shuffled(reader, 0, 1))
    assert sorted(each for ids, _, _ in found for each in ids) == list(range(10))
    for ids, pixels, labels in found:
        assert pixels == ids
        assert labels == [each % 3 for each in ids]


def test_where_lengths_differ_things_are_tried_on_a_batch_of_middling_length():
    split = TensorSplit(torch.zeros(50, 3, 4, 4, dtype=torch.uint8), {"label": torch.zeros(50, dtype=torch.int64)})
    loader = Loader("train", split, Collating(INPUT), CorruptSamples(0, print), batch_size=10, workers=0, device=CPU)
    assert loader.sample().ids.tolist() == list(range(10))
    split.lengths = torch.arange(50, 0, -1)
    loader = Loader("train", split, Collating(INPUT), CorruptSamples(0, print), batch_size=10, workers=0, device=CPU)
    assert sorted(loader.sample().ids.tolist()) == list(range(20, 30))


def test_a_batch_that_is_looked_at_alone_notes_no_sample():
    """Which one it is depends on what is cached, and so would the samples that an error names first."""

    class Torn(TensorSplit):
        def __getitems__(self, indices):
            return [self[index] for index in indices]

        def __getitem__(self, index):
            if index == 5:
                raise DataError("torn")
            return super().__getitem__(index)

    whole = memory(10)
    reader = loader(Torn(whole.inputs, whole.columns), corrupt=1)
    assert reader.one_in_order(1).ids.tolist() == [4, 6, 7]
    assert reader._corrupt.samples == []
    list(reader.in_order())
    assert [each.sample for each in reader._corrupt.samples] == [5]


def test_the_order_is_a_function_of_seed_and_epoch():
    reader = loader(memory(50))
    first = contents(shuffled(reader, 0, 1))
    assert contents(shuffled(loader(memory(50)), 0, 1)) == first
    assert contents(shuffled(reader, 0, 2)) != first
    assert contents(shuffled(reader, 1, 1)) != first


@pytest.mark.parametrize("split", [memory(11), OneByOne(11)], ids=["in memory", "one by one"])
def test_workers_change_nothing(split):
    alone, helped = loader(split), loader(split, workers=2)
    for epoch in (1, 2):
        assert contents(shuffled(helped, 0, epoch)) == contents(shuffled(alone, 0, epoch))
    assert contents(helped.in_order()) == contents(alone.in_order())


@pytest.mark.parametrize(
    ("samples", "size", "sizes"), [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (3, 1, [1, 1, 1])]
)
def test_a_lone_last_sample_joins_the_batch_before_it(samples, size, sizes):
    reader = loader(memory(samples), batch_size=size)
    assert [len(batch) for batch in shuffled(reader, 0, 1)] == sizes
    assert reader.steps(1) == len(sizes)
    assert sum(len(batch) for batch in reader.in_order()) == samples


@pytest.mark.parametrize("workers", [0, 2])
def test_an_expected_error_comes_out_of_a_worker_as_it_is(workers):
    with pytest.raises(DataError) as caught:
        list(loader(OneByOne(10, torn=5), workers=workers).in_order())
    assert str(caught.value) == "5.png is torn."


@pytest.mark.parametrize("error", [RuntimeError, ConnectionResetError, EOFError])
def test_an_error_of_the_datasets_own_is_not_taken_for_a_worker_that_is_gone(error):
    with pytest.raises(error, match=r"out of reach"):
        list(loader(OneByOne(8, torn=6, error=error("out of reach")), workers=1).in_order())


def test_the_batches_of_a_step():
    steps = list(loader(memory(10)).shuffled(0, 1, accumulate=2))
    assert [len(step) for step in steps] == [2, 1]
    assert loader(memory(10)).steps(2) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_may_start_at_any_step(workers):
    reader = loader(memory(23), workers=workers)
    steps = [contents(step) for step in reader.shuffled(0, 1, accumulate=2)]
    for start in range(len(steps) + 1):
        assert [contents(step) for step in reader.shuffled(0, 1, accumulate=2, start=start)] == steps[start:]


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_cannot_be_read_are_left_out_where_that_is_allowed(workers):
    reader = loader(OneByOne(10, torn=5), workers=workers, corrupt=1)
    assert [batch.ids.tolist() for batch in reader.in_order()] == [[0, 1, 2, 3], [4, 6, 7], [8, 9]]
    alone = loader(OneByOne(3, torn=2), batch_size=1, workers=workers, corrupt=1)
    assert [len(step) for step in alone.shuffled(0, 1)].count(0) == 1


def test_a_batch_moves_whole():
    batch = Batch(torch.zeros(2, 3), {"label": torch.zeros(2)}, torch.arange(2)).to(torch.device("meta"))
    assert {batch.inputs.device.type, batch.targets["label"].device.type, batch.ids.device.type} == {"meta"}
    assert len(batch) == 2


def test_samples_that_cannot_be_read_are_listed_in_their_order():
    found = CorruptSamples(4, lambda line: None)
    for split, sample in (("train", 7), ("val", 0), ("train", 1), ("test", 3)):
        found.add(split, sample, "torn")
    listed = [(each.split, each.sample) for each in found.in_order]
    assert listed == [("train", 1), ("train", 7), ("val", 0), ("test", 3)]


class Sounds(OneByOne):
    """Images, of which one is a sound."""

    def __getitem__(self, index: int):
        raw, targets = super().__getitem__(index)
        return (torch.zeros(16000) if index == 5 else raw), targets


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_of_another_kind_is_told_by_its_name(workers):
    split = Sounds(10)
    found = CorruptSamples(0, lambda line: None)
    reader = Loader("train", split, Collating(INPUT), found, batch_size=4, workers=workers, device=CPU)
    with pytest.raises(DataError) as caught:
        list(reader.in_order())
    needed = "the net takes an image, a uint8 or uint16 tensor [1 or 3, height, width]"
    assert str(caught.value) == f"sample 5: {needed}, but this is Tensor float32 [16000]."
