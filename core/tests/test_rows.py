"""Samples of several tensors, of different sizes, are kept as rows of bytes and come back as the batches they were."""

from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor

import ftrun
from ftrun.contracts.errors import PluginError
from ftrun.contracts.layout import described, filled_to_most, sample_bytes
from ftrun.data import decoded as decoding
from ftrun.data.decoded import Decoder
from ftrun.data.mapped import MappedSplit, same_bits
from ftrun.data.rows import Rows
from ftrun_devkit.tiny import TinyImages

LENGTH = ftrun.DynamicDim("length", 1, 9)
LAYOUT = {
    "values": ftrun.TensorLayout("float32", (2, LENGTH), fill=-1),
    "mask": ftrun.TensorLayout("bool", (LENGTH,)),
    "count": ftrun.TensorLayout("int64", ()),
}


def sample(length: int) -> dict[str, Tensor]:
    values = torch.arange(2.0 * length).view(1, 2, length) / 7
    return {"values": values, "mask": torch.ones(1, length, dtype=torch.bool), "count": torch.tensor([length])}


def test_a_batch_comes_back_filled_up_to_its_longest_sample() -> None:
    rows = Rows(LAYOUT)
    batch = rows.batch(torch.stack([rows.packed(sample(length)) for length in (3, 9, 1)]))
    assert {name: (list(each.shape), each.dtype) for name, each in batch.items()} == {
        "values": ([3, 2, 9], torch.float32),
        "mask": ([3, 9], torch.bool),
        "count": ([3], torch.int64),
    }
    for place, length in enumerate((3, 9, 1)):
        assert same_bits(batch["values"][place : place + 1, :, :length], sample(length)["values"])
        assert (batch["values"][place, :, length:] == -1).all()
        assert batch["mask"][place].sum() == batch["count"][place] == length


def test_one_tensor_of_one_size_needs_no_header() -> None:
    rows = Rows(ftrun.TensorLayout("float32", (2, 3)))
    tensors = torch.randn(4, 2, 3)
    assert rows.width == 24
    assert same_bits(rows.batch(torch.stack([rows.packed(each[None]) for each in tensors])), tensors)


@pytest.mark.parametrize(
    "change",
    [{"values": torch.zeros(1, 2, 10)}, {"values": torch.zeros(1, 2, 3).double()}, {"count": torch.zeros(1, 1).long()}],
)
def test_what_has_another_layout_is_told(change: dict[str, Tensor]) -> None:
    with pytest.raises(PluginError, match=r"collated_layout is values: float32 \[batch, 2, length\]; mask: .*gives"):
        Rows(LAYOUT).packed({**sample(3), **change})
    with pytest.raises(PluginError, match="gives float32"):
        Rows(LAYOUT).packed(torch.zeros(1, 3))


def test_layouts_in_words_in_bytes_and_at_their_greatest() -> None:
    assert described(LAYOUT["values"]) == "float32 [batch, 2, length]"
    assert described(None) == "what `input` makes of it"
    assert sample_bytes(LAYOUT) is None
    assert sample_bytes({"a": LAYOUT["count"], "b": ftrun.TensorLayout("uint8", (3, 4))}) == 20
    most = filled_to_most(sample(3), LAYOUT, ["length"])
    assert (list(most["values"].shape), list(most["mask"].shape)) == ([1, 2, 9], [1, 9])
    assert filled_to_most(sample(3), LAYOUT, [])["values"].shape == (1, 2, 3)


class Line(ftrun.InputSpec):
    """Numbers, in as many places as there are; less the batch's mean, if asked for."""

    kind: Literal["line"] = "line"
    centred: bool = False

    collated_layout: ClassVar = ftrun.TensorLayout("float32", (LENGTH,))

    def collate(self, raw):
        batch = torch.nn.utils.rnn.pad_sequence(raw, batch_first=True)
        return batch - batch.mean() if self.centred else batch

    def prepare(self, batch):
        return batch

    def example(self, count):
        return [torch.ones(1 + place % 9) for place in range(count)]


class Lines:
    """Lines of several lengths, of which one cannot be read at first."""

    fingerprint = "lines"
    torn = True

    def __init__(self, count: int) -> None:
        self.columns = {"label": torch.arange(count) % 2}

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, index: int):
        if index == 5 and self.torn:
            raise ftrun.DataError("5 is torn.")
        return torch.arange(1.0 + index % 9), {"label": self.columns["label"][index]}


@pytest.fixture
def said(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    return []


def decoded(split: Lines, said: list[str], **fields: bool) -> ftrun.Split:
    part = TinyImages(name="tiny-images")
    return Decoder(Line(**fields), dataset=part, workers=0, skip=True, say=said.append).split(split, "train")


def test_inputs_of_different_lengths_are_decoded_once(said: list[str]) -> None:
    split = Lines(70)
    for lines in (2, 2):  # decoded, and read from there
        kept = decoded(split, said)
        assert isinstance(kept, MappedSplit)
        assert len(said) == lines
    inputs, targets = kept.__getitems__([8, 1, 3])
    assert same_bits(inputs, Line().collate([split[index][0] for index in (8, 1, 3)]))
    assert targets["label"].tolist() == [0, 1, 1]
    assert kept.unreadable == {5}
    with pytest.raises(ftrun.DataError, match="5 is torn"):
        kept[5]
    split.torn = False
    assert kept[5][0].tolist() == split[5][0].tolist()


def test_what_depends_on_the_batch_is_not_kept(said: list[str]) -> None:
    split = Lines(20)
    assert decoded(split, said, centred=True) is split
    assert "because a sample's values depend on its batch" in said[-1]
    assert decoding._PROBED >= 2


def test_an_input_may_say_that_it_is_not_to_be_kept(said: list[str], monkeypatch) -> None:
    monkeypatch.setattr(Line, "cached", False)
    split = Lines(20)
    assert decoded(split, said) is split
    assert not said
