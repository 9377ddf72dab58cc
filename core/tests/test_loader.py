import pytest
import torch

from ftrun import Batch, DataError, ImageInput, TensorSplit
from ftrun.run.loader import Loader, groups

CPU = torch.device("cpu")
INPUT = ImageInput(size=(4, 4))


class OneByOne:
    """Samples in all sizes, read singly, as from files."""

    def __init__(self, count: int, torn: int | None = None) -> None:
        self.targets = {"label": torch.arange(count) % 3}
        self.torn = torn

    def __len__(self) -> int:
        return len(self.targets["label"])

    def __getitem__(self, index: int):
        if index == self.torn:
            raise DataError(f"{index}.png is torn.")
        return torch.full((1, 3 + index % 3, 5), index, dtype=torch.uint8), {"label": int(self.targets["label"][index])}


def memory(count: int) -> TensorSplit:
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    return TensorSplit(images, {"label": torch.arange(count) % 3})


def loader(split, batch_size=4, workers=0) -> Loader:
    return Loader(split, INPUT, batch_size=batch_size, workers=workers, device=CPU)


def contents(batches) -> list[tuple[list[int], list[int], list[int]]]:
    return [(b.ids.tolist(), b.inputs[:, 0, 0, 0].tolist(), b.targets["label"].tolist()) for b in batches]


def test_every_sample_once_in_order_or_shuffled():
    reader = loader(memory(10))
    assert [ids for ids, _, _ in contents(reader.in_order())] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = contents(reader.shuffled(seed=0, epoch=1))
    assert sorted(each for ids, _, _ in shuffled for each in ids) == list(range(10))
    for ids, pixels, labels in shuffled:
        assert pixels == ids
        assert labels == [each % 3 for each in ids]


def test_the_order_is_a_function_of_seed_and_epoch():
    reader = loader(memory(50))
    first = contents(reader.shuffled(0, 1))
    assert contents(loader(memory(50)).shuffled(0, 1)) == first
    assert contents(reader.shuffled(0, 2)) != first
    assert contents(reader.shuffled(1, 1)) != first


@pytest.mark.parametrize("split", [memory(11), OneByOne(11)], ids=["in memory", "one by one"])
def test_workers_change_nothing(split):
    alone, helped = loader(split), loader(split, workers=2)
    for epoch in (1, 2):
        assert contents(helped.shuffled(0, epoch)) == contents(alone.shuffled(0, epoch))
    assert contents(helped.in_order()) == contents(alone.in_order())


@pytest.mark.parametrize(
    ("samples", "size", "sizes"), [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (3, 1, [1, 1, 1])]
)
def test_a_lone_last_sample_joins_the_batch_before_it(samples, size, sizes):
    reader = loader(memory(samples), batch_size=size)
    assert [len(batch) for batch in reader.shuffled(0, 1)] == sizes
    assert reader.batches == len(sizes)
    assert sum(len(batch) for batch in reader.in_order()) == samples


@pytest.mark.parametrize("workers", [0, 2])
def test_an_expected_error_comes_out_of_a_worker_as_it_is(workers):
    with pytest.raises(DataError) as caught:
        list(loader(OneByOne(10, torn=5), workers=workers).in_order())
    assert str(caught.value) == "5.png is torn."


def test_groups_of_batches():
    batches = list(loader(memory(10)).in_order())
    assert [len(group) for group in groups(iter(batches), 2)] == [2, 1]


def test_a_batch_moves_whole():
    batch = Batch(torch.zeros(2, 3), {"label": torch.zeros(2)}, torch.arange(2)).to(torch.device("meta"))
    assert {batch.inputs.device.type, batch.targets["label"].device.type, batch.ids.device.type} == {"meta"}
    assert len(batch) == 2
