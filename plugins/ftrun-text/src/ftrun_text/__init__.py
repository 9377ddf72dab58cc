"""Datasets `csv` and `jsonl`, texts in files; the backbone `lstm`, with its own vocabulary; and `word-dropout`."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ftrun
import ftrun_inputs
from ftrun_tables import CsvTable, JsonlTable

if TYPE_CHECKING:
    from ftrun_tables import Read

FTRUN_API = "2.0"

KNOWN_TO_ALL = 2  # tokens, of padding and of unknown words
TOKENIZER = "tokenizer.json"
LENGTH = 256  # most tokens of a text, where a spec's `input` does not say

Empty = Literal["error", "keep", "skip"]


def texts(read: "Read") -> ftrun.Splits:
    """The splits of rows whose inputs are texts."""
    splits, targets, notes = read
    return ftrun.Splits(**{"train": None, **splits}, targets=targets, notes=notes)


class Csv(CsvTable):
    """Texts in CSV files: a column with the text, others with what it is to be taken for."""

    name: Literal["csv"]
    input_kind = "text"
    text: str = Field(description="The column with the text.")
    empty_texts: Empty = Field("error", description="What to do about a row without a text.")

    def build(self) -> ftrun.Splits:
        """Train and what there is of val and test: str, and the targets. Raises DataError with file and line."""
        return texts(self.rows(self.text, empty=self.empty_texts))

    def evaluation(self) -> ftrun.Splits:
        """The same, uncut."""
        return texts(self.rows(self.text, empty=self.empty_texts, whole=True))


class Jsonl(JsonlTable):
    """Texts in files with a JSON object a line: a key with the text, others with what it is to be taken for."""

    name: Literal["jsonl"]
    input_kind = "text"
    text: str = Field(description="The key of the text.")
    empty_texts: Empty = Field("error", description="What to do about a row without a text.")

    def build(self) -> ftrun.Splits:
        """Train and what there is of val and test: str, and the targets. Raises DataError with file and line."""
        return texts(self.rows(self.text, empty=self.empty_texts))

    def evaluation(self) -> ftrun.Splits:
        """The same, uncut."""
        return texts(self.rows(self.text, empty=self.empty_texts, whole=True))


class Lstm(ftrun.Backbone):
    """A small recurrent net for texts, not pretrained: words, LSTM layers, and the mean over the words."""

    name: Literal["lstm"]
    width: int = Field(128, ge=1, description="Length of a word's features in each direction.")
    embedding: int = Field(128, ge=1, description="Length of a word's embedding.")
    layers: int = Field(1, ge=1, le=16, description="Number of LSTM layers.")
    bidirectional: bool = Field(True, description="Whether texts are read in both directions.")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Part of each layer's input that is zeroed at random in training."
    )
    vocabulary: int = Field(
        20_000, gt=KNOWN_TO_ALL, description="Most tokens; two of them are padding and unknown words."
    )
    min_count: int = Field(2, ge=1, description="How often a word stands in the training texts at least, to be known.")

    input_type = ftrun_inputs.TextInput

    def build(self, overrides: Mapping[str, Any], state: ftrun.PartState | None = None) -> "ftrun.Net":
        """A net with random weights that knows the words of its state, or no word yet."""
        from ftrun_text.lstm import lstm_net
        from ftrun_text.vocabulary import made_of

        tokenizer = state.text(TOKENIZER) if state else made_of([])
        net: ftrun.Net = lstm_net(
            ftrun_inputs.TextInput(length=LENGTH, tokenizer=tokenizer).changed(**overrides),
            **self.model_dump(include={"width", "embedding", "layers", "bidirectional", "dropout"}),
        )
        return net

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """Those of a small net that learns from nothing."""
        return ftrun.TrainingRanges("an LSTM", lr=3e-3, lr_range=(1e-4, 2e-2), batch_size=32, pretrained=False)

    def state(self, made: "ftrun.Net") -> ftrun.PartState:
        """The vocabulary, as a tokenizer."""
        return ftrun.PartState(files={TOKENIZER: made.input.tokenizer.encode()})

    def fit(self, net: "ftrun.Net", train: ftrun.Split) -> None:
        """Learn the words of the training texts. Raises SpecError where they are no texts, or no word is left."""
        from ftrun_text.lstm import vocabulary_of

        learnt = net.input.changed(tokenizer=vocabulary_of(train, self.vocabulary, self.min_count))
        if learnt.vocabulary_size <= KNOWN_TO_ALL:
            raise ftrun.SpecError(f"no word stands in the training texts {self.min_count} times. Lower `min_count`.")
        net.set_input(learnt)


class WordDropout(ftrun.Augmentation):
    """Hides words of a text, or pieces of words: the net learns not to rely on single ones."""

    name: Literal["word-dropout"]
    input_kinds = ("text",)
    p: float = Field(0.1, ge=0, lt=1, description="Probability that a token is hidden.")

    def build(self, input: ftrun_inputs.TextInput) -> "Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]":  # noqa: A002  (its name in the contract)
        """Tokens int64 [B, T] to the same shape; what marks the ends of a text, and padding, stays.

        Iyyer et al., "Deep unordered composition rivals syntactic methods for text classification", ACL 2015. A token
        becomes the tokenizer's mask, or where it has none its unknown word. Raises SpecError where it has neither.
        """
        from dataclasses import replace

        import torch

        blank, marks = input.blank_id, torch.tensor(input.marks)
        if blank is None:
            raise ftrun.SpecError("the tokenizer has neither a mask nor a token for unknown words to hide words by.")

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            tokens = batch.inputs
            hidden = random.uniform(tokens.shape[1]) < self.p  # a place's draw does not depend on the batch's length
            kept = torch.isin(tokens, marks.to(tokens.device))
            return replace(batch, inputs=tokens.masked_fill(hidden & ~kept, blank))

        return augment


@ftrun.hookimpl
def ftrun_augmentations() -> Iterable[type[ftrun.Part]]:
    return [WordDropout]


@ftrun.hookimpl
def ftrun_backbones() -> Iterable[type[ftrun.Part]]:
    return [Lstm]


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [Csv, Jsonl]
