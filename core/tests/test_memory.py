"""What says that memory is short."""

import pytest
import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import FtrunError
from ftrun.train import memory


@pytest.mark.parametrize(
    ("said", "is_short"),
    [
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 44236800 bytes.", True),
        ("could not create a primitive", True),
        ("could not create a primitive descriptor for a convolution forward propagation primitive", False),
        ("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)", False),
    ],
)
def test_the_processors_ways_to_say_so(said, is_short):
    assert memory.is_out_of_memory(RuntimeError(said)) is is_short


def net_for(fits: int, seen: list[int]):
    """A net that takes so many samples at most."""

    def compute(batch: Batch) -> dict[str, torch.Tensor]:
        if len(batch) > fits:
            raise torch.OutOfMemoryError
        seen.append(len(batch))
        return {"twice": batch.inputs * 2}

    return compute


BATCH = Batch(torch.arange(10.0), {}, torch.arange(10))


def test_outputs_come_in_portions_where_memory_is_short_and_stay_so():
    lines, seen = [], []
    portions = memory.Portions(torch.device("cpu"), None, lines.append)
    for _ in range(2):
        assert torch.equal(portions.outputs(net_for(3, seen), BATCH)["twice"], BATCH.inputs * 2)
    assert portions.size == 2
    assert lines == ["out of memory: from now on the net sees 2 samples at a time"]
    assert seen == [2] * 10


def test_what_can_be_spared_is_freed_first():
    seen: list[int] = []
    spare = [True]

    def compute(batch: Batch) -> torch.Tensor:
        return net_for(3 if spare else 10, seen)(batch)["twice"]

    portions = memory.Portions(torch.device("cpu"), relieve=lambda: bool(spare) and bool(spare.pop()))
    assert torch.equal(portions.outputs(compute, BATCH), BATCH.inputs * 2)
    assert (portions.size, seen) == (None, [10])


def test_one_sample_that_is_too_much_is_an_error():
    with pytest.raises(FtrunError, match="even with one sample at a time"):
        memory.Portions(torch.device("cpu")).outputs(net_for(0, []), BATCH)
