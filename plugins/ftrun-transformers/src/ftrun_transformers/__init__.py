"""Backbone `transformers`: encoder models of transformers. Modifier `resize-vocabulary`: new words for texts' nets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from ftrun import Net

FTRUN_API = "2.0"


TOKENIZER, CONFIG = "tokenizer.json", "config.json"
"""The files of a backbone's state, as transformers calls them."""


class Encoder(ftrun.Backbone):
    """What backbones from transformers have in common. `_source` says where config, tokenizer and weights are."""

    input_type = ftrun_inputs.TextInput

    pretrained: bool = Field(True, description="Whether to take the pretrained weights; random ones otherwise.")
    pooling: Literal["mean", "cls"] = Field(
        "mean", description="Embedding of a text: the mean over its tokens, or the first token."
    )
    normalize: bool = Field(False, description="Whether embeddings are scaled to length 1.")

    def _source(self) -> "str | Path":
        """A name on the Hugging Face Hub, or a folder."""
        raise NotImplementedError

    def _length(self) -> int | None:
        """Tokens that the weights were trained on, where the tokenizer does not say so."""
        return None

    def build(self, overrides: Mapping[str, Any], state: ftrun.PartState | None = None) -> "Net":
        """The net with its weights; with random ones, and nothing fetched, where there is a state.

        Raises SpecError where the model or its weights are not to be had.
        """
        from ftrun_transformers.build import build, rebuild

        if state is not None:
            return rebuild(state, overrides, pooling=self.pooling, normalize=self.normalize)
        return build(
            self._source(),
            overrides,
            pooling=self.pooling,
            normalize=self.normalize,
            length=self._length(),
            weights=self.pretrained,
        )

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """Those of encoders of texts."""
        if not self.pretrained:
            return ftrun.TrainingRanges("a transformer", lr=5e-4, weight_decay=0.05, warmup=0.2, pretrained=False)
        return ftrun.TrainingRanges(
            "encoders of texts", lr=5e-5, head_lr=3e-3, lr_range=(1e-6, 5e-4), layer_decay=0.9, batch_size=32
        )

    def without_weights(self) -> Self:
        """The same model with random weights; its config and tokenizer are in the state."""
        return self.model_copy(update={"pretrained": False})

    def state(self, made: Any) -> ftrun.PartState:
        """The tokenizer and the configuration, as transformers writes them."""
        return ftrun.PartState(files={TOKENIZER: made.input.tokenizer.encode(), CONFIG: made.config.encode()})


class Transformers(Encoder):
    """An encoder model of transformers, from a folder or the Hugging Face Hub."""

    name: Literal["transformers"]
    family = "model"

    model: str = Field(description="A folder with config, tokenizer and weights, or a name on the Hugging Face Hub.")

    def _source(self) -> str:
        return str(ftrun.expand_path(self.model))


class ResizeVocabulary(ftrun.Modifier):
    """New words for the tokenizer and the embedding: those of a list, or what the training texts often have."""

    name: Literal["resize-vocabulary"]
    input_kinds = ("text",)
    keeps_features = False  # of a text with a new word, which is cut into fewer tokens

    words: tuple[str, ...] = Field((), description="Words to add.")
    most: int = Field(
        0,
        ge=0,
        description="Words to add from the training texts: those whose pieces take the most tokens there.",
    )

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if not self.words and not self.most:
            raise ValueError("adds nothing: give words, a list, or most, how many to choose from the training texts")
        empty = [word for word in self.words if not word.strip()]
        if empty:
            raise ValueError("a word is empty")
        return self

    def build(self, net: "Net") -> "Net":
        """The net with `words` in its vocabulary. Raises SpecError where it does not take texts."""
        from ftrun_transformers.vocabulary import add_words, text_input

        text_input(net, self.name)
        add_words(net, self.words)
        return net

    def fit(self, net: "Net", train: ftrun.Split) -> None:
        """Add what the training texts have most of."""
        from ftrun_transformers.vocabulary import add_words, costly_words

        if self.most:
            add_words(net, costly_words(net, train, self.most))


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [Transformers]


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [ResizeVocabulary]
