"""Texts on their way to a net; and batches of texts of similar length."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from ftrun import DataError, FtrunError, SpecError, TensorSplit
from ftrun.data.collating import Collating
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.loader import Loader
from ftrun_inputs import TextInput

WORDS = ["[PAD]", "[UNK]", "red", "green", "blue"]


def tokenizer(padding: bool = True) -> str:
    made = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    if padding:
        made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made.to_str()


@pytest.fixture
def spec() -> TextInput:
    return TextInput(length=4, tokenizer=tokenizer())


def test_a_batch_is_padded_to_its_longest_text_and_cut_off_at_length(spec: TextInput) -> None:
    assert spec.collate(["red", "green blue"]).tolist() == [[2, 0], [3, 4]]
    assert spec.collate(["red red red red red red", "never seen"]).tolist() == [[2, 2, 2, 2], [1, 1, 0, 0]]
    assert spec.collate(["blue"]).dtype == torch.int64
    empty = spec.collate(["", " "])
    assert (empty.tolist(), empty.dtype) == ([[0], [0]], torch.int64)
    assert (spec.pad_id, spec.vocabulary_size) == (0, 5)


def test_the_tokenizer_is_in_no_dump_and_survives_a_change(spec: TextInput) -> None:
    assert spec.model_dump(mode="json") == {"kind": "text", "length": 4}
    changed = spec.changed(length=2)
    assert (changed.length, changed.tokenizer) == (2, spec.tokenizer)
    assert changed.collate(["red red red"]).shape == (1, 2)
    assert (
        spec.collate_options() != TextInput(length=4, tokenizer=tokenizer().replace("blue", "pink")).collate_options()
    )
    assert set(TextInput.overrides().model_fields) == {"length"}


def test_examples_are_texts_of_several_lengths(spec: TextInput) -> None:
    texts = spec.example(9)
    assert len({len(text.split()) for text in texts}) > 3
    assert set(" ".join(texts).split()) <= {"red", "green", "blue"}


def test_what_is_wrong_is_told(spec: TextInput, tmp_path) -> None:
    with pytest.raises(DataError, match="the net takes a text, str, but this is int"):
        Collating(spec)(["red", 5])
    with pytest.raises(FtrunError, match="is damaged"):
        TextInput(length=4, tokenizer="{}").collate(["red"])
    with pytest.raises(FtrunError, match="pads with"):
        TextInput(length=4, tokenizer=tokenizer(padding=False)).collate(["red"])
    (tmp_path / "latin").write_bytes("fa\xe7ade".encode("latin-1"))
    with pytest.raises(DataError, match="latin: is no text in UTF-8: byte 2"):
        spec.read(tmp_path / "latin")
    with pytest.raises(DataError, match="No such file"):
        spec.read(tmp_path / "none")


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_that_leaves_no_room_for_a_text_is_refused(length: int) -> None:
    made = Tokenizer.from_str(tokenizer())
    made.post_processor = TemplateProcessing(single="[UNK] $A [UNK]", special_tokens=[("[UNK]", 1)])
    assert TextInput(length=3, tokenizer=made.to_str()).collate(["red green blue"]).tolist() == [[1, 2, 1]]
    with pytest.raises(SpecError, match=rf"input.length: {length} is too short: .* 2 tokens .* Set it to 3 or more"):
        TextInput(length=length, tokenizer=made.to_str()).collate(["red green blue"])


class Texts(TensorSplit):
    """Samples of different lengths: as many as the input says."""

    def __init__(self, count: int) -> None:
        lengths = torch.randint(1, 500, (count,), generator=torch.Generator().manual_seed(1))
        super().__init__(lengths[:, None], {"label": torch.zeros(count, dtype=torch.int64)})
        self.lengths = lengths


@pytest.mark.parametrize("samples", [7, 801, 1600])
def test_batches_are_of_similar_length_in_an_order_that_epochs_do_not_share(samples: int) -> None:
    loader = Loader(
        "train",
        Texts(samples),
        lambda raw: raw,
        CorruptSamples(0, print),
        batch_size=8,
        workers=0,
        device=torch.device("cpu"),
    )
    epochs = [[batch for (batch,) in loader.shuffled(0, epoch)] for epoch in (1, 1, 2)]
    for batches in epochs:
        assert sorted(torch.cat([batch.ids for batch in batches]).tolist()) == list(range(samples))
        assert len(batches) == loader.steps(1)
        assert all(len(batch) == 8 for batch in batches[:-1])
    first, again, second = ([batch.ids.tolist() for batch in batches] for batches in epochs)
    assert first == again
    assert first != second or samples < 8
    spread = [float(batch.inputs.max() - batch.inputs.min()) for batch in epochs[0][:-1]]
    if samples > 100:
        assert sum(spread) / len(spread) < 30  # of 500, where any eight samples have 390 or so
        starts = [int(batch.inputs.min()) for batch in epochs[0]]
        assert starts != sorted(starts)
    in_order = torch.cat([batch.inputs.flatten() for batch in loader.in_order()])
    assert in_order.tolist() == sorted(in_order.tolist())


def test_pieces_are_those_of_a_word_within_a_text(spec: TextInput) -> None:
    assert spec.pieces("green") == [3]
    assert spec.pieces("red blue red blue red") == [2, 4, 2, 4, 2]  # more than `length`: nothing is cut off
    assert spec.pieces("pink") == [1]


def test_new_tokens_are_told_with_what_they_were_cut_into(spec: TextInput) -> None:
    grown = Tokenizer.from_str(spec.tokenizer)
    grown.add_tokens(["red-green", "pink"])
    new = spec.changed(tokenizer=grown.to_str())
    assert new.pieces_of_new(spec) == {5: [2, 1, 3], 6: [1]}
    assert spec.pieces_of_new(spec) == spec.pieces_of_new(new) == {}
    assert new.vocabulary_size == 7


def test_all_but_the_tokenizer_goes_to_json_and_back(spec: TextInput) -> None:
    saved = json.loads(spec.model_dump_json())
    assert "tokenizer" not in saved
    assert TextInput.restored(saved, spec) == spec
    assert TextInput.restored({**saved, "tokenizer": "other"}, spec) == spec, "it is as the net was built"
    assert TextInput.restored(saved).length == spec.length
    assert spec.files() == {"tokenizer.json": spec.tokenizer}
    assert spec.collated_layout.dynamic == {1: ("length", 1, 4)}
    del saved["length"]
    with pytest.raises(FtrunError, match="is damaged: its input is not one of this backbone"):
        TextInput.restored(saved, spec)
