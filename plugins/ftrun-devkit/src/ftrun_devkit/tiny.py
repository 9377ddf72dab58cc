"""Tiny parts, of a fraction of a second: grey images whose class is their brightness, texts whose class is their words,
a net of one convolution, and a net of one embedding.

The module is a plugin like any other, but none that is installed: `tiny_run` and the contract's checks use it, and
`ftrun run SPEC --parts FILE` may.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn


class TinyImages(ftrun.Dataset):
    """Grey images whose class shows as brightness."""

    name: Literal["tiny-images"]
    input_kind = "image"
    samples: int = Field(48, ge=2, description="Training samples; val and test have 12 each.")
    classes: int = Field(3, ge=2, description="Number of classes.")
    size: int = Field(8, ge=1, description="Height and width in pixels.")

    def build(self) -> ftrun.Splits:
        """Images uint8 [1, size, size] in memory."""
        names = tuple(f"class {index}" for index in range(self.classes))
        return ftrun.Splits(
            train=self._split(self.samples, 0),
            val=self._split(12, 1),
            test=self._split(12, 2),
            targets={"label": ftrun.Classes(names=names)},
        )

    def _split(self, count: int, seed: int) -> ftrun.TensorSplit:
        import torch

        labels = torch.arange(count) % self.classes
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randint(0, 40, (count, 1, self.size, self.size), generator=generator)
        brightness = (labels * 200 // (self.classes - 1))[:, None, None, None]
        return ftrun.TensorSplit((noise + brightness).to(torch.uint8), {"label": labels})


class TinyTexts(ftrun.Dataset):
    """Short texts of different lengths whose class shows in their words."""

    name: Literal["tiny-texts"]
    input_kind = "text"
    samples: int = Field(48, ge=2, description="Training samples; val and test have 12 each.")

    def build(self) -> ftrun.Splits:
        """Texts in memory, of three classes."""
        return ftrun.Splits(
            train=TinyTextSplit(self.samples, 0),
            val=TinyTextSplit(12, 1),
            test=TinyTextSplit(12, 2),
            targets={"label": ftrun.Classes(names=tuple(_WORDS))},
        )


_WORDS = {
    "weather": ("rain", "wind", "snow", "the sun", "a cloud", "fog"),
    "kitchen": ("bread", "soup", "a spoon", "the salt", "tea", "plates"),
    "travel": ("train", "a ticket", "the road", "harbour", "maps", "bridge"),
}


class TinyTextSplit:
    """`count` texts of one to seven words; other ones for another seed."""

    in_memory = True

    def __init__(self, count: int, seed: int) -> None:
        import torch

        labels = torch.arange(count) % len(_WORDS)
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randint(0, 6, (count, 7), generator=generator).tolist()
        sizes = torch.randint(1, 8, (count,), generator=generator).tolist()
        words = [tuple(_WORDS.values())[label] for label in labels.tolist()]
        self.texts = [
            " ".join(of[draw] for draw in drawn[:size]) + f" {seed}{index}"  # no text is in two splits
            for index, (of, drawn, size) in enumerate(zip(words, draws, sizes, strict=True))
        ]
        self.columns = {"label": labels}
        self.lengths = torch.tensor([len(text) for text in self.texts])

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return self.texts[index], {name: values[index] for name, values in self.columns.items()}


class TinyNet(ftrun.Backbone):
    """One convolution with batch normalisation; its weights are random."""

    name: Literal["tiny-net"]
    width: int = Field(8, ge=1, description="Channels of the convolution.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Part of the embedding that is zeroed at random in training.")
    levels: int = Field(1, ge=1, le=5, description="Levels of its pyramid, each of half the size.")

    input_type = ftrun_inputs.ImageInput
    any_size = True

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """A net on images of 8 pixels, with embeddings [B, width]."""
        from ftrun_devkit.tinynet import tiny_net

        return tiny_net(
            self.width, self.dropout, ftrun_inputs.ImageInput(size=(8, 8)).changed(**overrides), self.levels
        )


class TinyTextNet(ftrun.Backbone):
    """An embedding of each word; its weights are random."""

    name: Literal["tiny-text-net"]
    width: int = Field(8, ge=1, description="Length of an embedding.")

    input_type = ftrun_inputs.TextInput

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """A net on texts of at most 32 words, with embeddings [B, width]."""
        from ftrun_devkit.tinytextnet import tiny_text_net, tiny_tokenizer

        words = {word: None for texts in _WORDS.values() for text in texts for word in text.split()}
        return tiny_text_net(
            self.width, ftrun_inputs.TextInput(length=32, tokenizer=tiny_tokenizer(words)).changed(**overrides)
        )


class TinyLoss(ftrun.Loss):
    """Cross-entropy."""

    name: Literal["tiny-cross-entropy"]

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over the batch."""
        from torch import nn

        return nn.CrossEntropyLoss()


class TinyOptimizer(ftrun.Optimizer):
    """Gradient descent with momentum."""

    name: Literal["tiny-descent"]
    lr: float = Field(0.1, gt=0, description="Learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum factor.")

    def build(self, params: Any) -> Any:
        """torch's own."""
        from torch.optim import SGD

        return SGD(params, lr=self.lr, momentum=self.momentum)


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [TinyImages, TinyTexts]


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [TinyNet, TinyTextNet]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [TinyLoss]


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [TinyOptimizer]
