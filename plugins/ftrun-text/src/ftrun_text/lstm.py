"""The net of the backbone `lstm`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import ftrun
import ftrun_inputs
from ftrun_text import LENGTH, TOKENIZER
from ftrun_text.vocabulary import learnt

_PORTION = 1000  # texts that are read at once
_EMBEDDING = "embedding.weight"


class LstmModel(nn.Module):
    """Embeddings of tokens, LSTM layers, and a head.

    Tokens int64 [B, T], 0 where there is none -> features [B, T, D], zero where there is no token.
    """

    def __init__(
        self, tokens: int, embedding: int, width: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        self.features_width = width * (2 if bidirectional else 1)
        self.embedding = nn.Embedding(tokens, embedding, padding_idx=0)
        inputs = [embedding, *[self.features_width] * (layers - 1)]
        self.layers = nn.ModuleList(LstmLayer(each, width, bidirectional) for each in inputs)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.features_width, 1)

    def features(self, tokens: Tensor) -> Tensor:
        there = (tokens != 0)[..., None]
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(self.dropout(x), there)
        return x


class LstmLayer(nn.Module):
    """One LSTM, or two that read in opposite directions: [B, T, E] -> [B, T, width or 2 width].

    It gives exactly what packed sequences give, but computes on plain tensors, which export and compile: what is
    padded stands on the right, so that it can change nothing before it; for the other direction each text is reversed
    within its own length.
    """

    def __init__(self, inputs: int, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.rightwards = nn.LSTM(inputs, width, batch_first=True)
        self.leftwards = nn.LSTM(inputs, width, batch_first=True) if bidirectional else None
        for lstm in filter(None, (self.rightwards, self.leftwards)):
            _remember_at_first(lstm)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """there: bool [B, T, 1], where there are tokens; the features of padding are zero."""
        features = self.rightwards(x)[0]
        if self.leftwards is not None:
            order = _reversed(there)
            backwards = self.leftwards(_reordered(x, order))[0]
            features = torch.cat([features, _reordered(backwards, order)], dim=2)
        return torch.where(there, features, features.new_zeros(()))


def _remember_at_first(lstm: nn.LSTM) -> None:
    """A forget gate that begins open: biases of 1 (Gers et al., 2000; Jozefowicz et al., 2015)."""
    with torch.no_grad():
        for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0):
            bias[lstm.hidden_size : 2 * lstm.hidden_size].fill_(0.5)


def _reversed(there: Tensor) -> Tensor:
    """int64 [B, T, 1]: for each place, the one that it changes with when its text is read backwards; padding stays."""
    place = torch.arange(there.shape[1], device=there.device)[None, :, None]
    return torch.where(there, there.sum(dim=1, keepdim=True) - 1 - place, place)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.expand(-1, -1, x.shape[2]))


class LstmNet(ftrun.Net):
    """Tokens -> LSTM -> mean over the tokens -> head. Its embedding has a row for each token of `input`."""

    model: LstmModel

    static_dims = ("length",)  # torch.export unrolls an LSTM, so that texts are padded to one length there

    def features(self, x: Tensor) -> Tensor:
        return self.model.features(x)

    def pool(self, features: Tensor) -> Tensor:
        """The mean over the tokens: what is zero throughout is padding. A text without tokens gives zeros."""
        tokens = (features != 0).any(dim=2).sum(dim=1, keepdim=True)
        return self.model.dropout(features.sum(dim=1) / tokens.clamp(min=1))

    def set_input(self, input: ftrun.InputSpec) -> None:  # noqa: A002  (the contract's word)
        """Take another vocabulary: words that both have keep their row of the embedding, others get a fresh one."""
        assert isinstance(input, ftrun_inputs.TextInput)
        before, after = _words(self.input), _words(input)
        old = self.model.embedding
        if before != after:
            new = nn.Embedding(len(after), old.embedding_dim, padding_idx=0).to(old.weight.device, old.weight.dtype)
            with torch.no_grad():
                _copy_rows(old.weight, before, new.weight, after)
            self.model.embedding = new
        super().set_input(input)

    def remap_weights(
        self,
        tensors: Mapping[str, Tensor],
        state: ftrun.PartState | None,
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rows of the embedding go by the word; of a word that the other run did not know, it stays as it is."""
        weights, mine = dict(tensors), self.model.embedding.weight
        before, after = _words_of(state), _words(self.input)
        theirs = weights.get(_EMBEDDING)
        if before in (None, after) or theirs is None or theirs.shape != (len(before), mine.shape[1]):
            return weights, []
        rows = mine.detach().clone()
        both = _copy_rows(theirs, before, rows, after)
        note = f"{_EMBEDDING}: {both:,} of {len(after):,} words are known there, and taken over; the others start anew"
        return {**weights, _EMBEDDING: rows}, [note]


def lstm_net(
    input: ftrun_inputs.TextInput,  # noqa: A002
    *,
    embedding: int,
    width: int,
    layers: int,
    bidirectional: bool,
    dropout: float,
) -> LstmNet:
    """A net with random weights on tokens of `input`."""
    model = LstmModel(input.vocabulary_size, embedding, width, layers, bidirectional, dropout)
    stages = {"embedding": ["embedding"], **{f"layer{each + 1}": [f"layers.{each}"] for each in range(layers)}}
    return LstmNet(model, input=input, num_features=model.features_width, head_path="head", stages=stages)


def vocabulary_of(train: ftrun.Split, size: int, min_count: int) -> str:
    """The tokenizer with the words of the training texts. Raises SpecError where they are no texts."""
    return learnt(_texts(train), size, min_count)


def _copy_rows(old: Tensor, before: Mapping[str, int], new: Tensor, after: Mapping[str, int]) -> int:
    """Rows of words that both vocabularies have, and how many these are."""
    both = [word for word in after if word in before]
    new[[after[word] for word in both]] = old[[before[word] for word in both]].to(new)
    return len(both)


def _words(input: Any) -> dict[str, int]:  # noqa: A002
    words = input.tokens.get_vocab()
    return {word: words[word] for word in sorted(words, key=words.__getitem__)}


def _words_of(state: ftrun.PartState | None) -> dict[str, int] | None:
    """The vocabulary in the state of another run's backbone; None where it has none."""
    if state is None or TOKENIZER not in state.files:
        return None
    return _words(ftrun_inputs.TextInput(length=LENGTH, tokenizer=state.text(TOKENIZER)))


def _texts(train: ftrun.Split) -> Iterator[list[str]]:
    for start in range(0, len(train), _PORTION):
        texts = _inputs(train, range(start, min(start + _PORTION, len(train))))
        if not all(isinstance(text, str) for text in texts):
            raise ftrun.SpecError("lstm takes texts, but the dataset's inputs are none.")
        yield texts


def _inputs(split: ftrun.Split, indices: Sequence[int]) -> list[Any]:
    whole_batch = getattr(split, "__getitems__", None)
    found = whole_batch(indices) if whole_batch else [split[index] for index in indices]
    return list(found[0]) if isinstance(found, tuple) else [raw for raw, _ in found]
