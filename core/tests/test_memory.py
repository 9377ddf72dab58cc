"""What says that memory is short."""

import pytest

from ftrun.run import memory


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
