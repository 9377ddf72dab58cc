"""Tiny parts, of a fraction of a second: grey images whose class is their brightness, and a net of one convolution;
texts whose class is in one of their words, and a net that looks at each word.

The module is a plugin like any other, but none that is installed: `tiny_run` and the contract's checks use it, and
`ftrun run SPEC --parts FILE` may.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn


class TinyImages(ftrun.Dataset):
    """Grey images whose class shows as brightness."""

    name: Literal["tiny-images"]
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
    """Texts of one to nine words, one of which says the class."""

    name: Literal["tiny-texts"]
    samples: int = Field(48, ge=2, description="Training samples; val and test have 12 each.")
    classes: int = Field(3, ge=2, description="Number of classes.")

    def build(self) -> ftrun.Splits:
        """Texts in memory."""
        from ftrun.testing.tinytexts import tiny_texts

        return ftrun.Splits(
            train=tiny_texts(self.samples, self.classes, seed=0),
            val=tiny_texts(12, self.classes, seed=1),
            test=tiny_texts(12, self.classes, seed=2),
            targets={"label": ftrun.Classes(names=tuple(f"class {index}" for index in range(self.classes)))},
        )


class TinyNet(ftrun.Backbone):
    """One convolution with batch normalisation; its weights are random."""

    name: Literal["tiny-net"]
    width: int = Field(8, ge=1, description="Channels of the convolution.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Part of the embedding that is zeroed at random in training.")

    any_size = True

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """A net on images of 8 pixels, with embeddings [B, width]."""
        from ftrun.testing.tinynet import tiny_net

        return tiny_net(self.width, self.dropout, ftrun.ImageInput(size=(8, 8)).changed(**overrides))


class TinyTextNet(ftrun.Backbone):
    """An embedding of each word; its weights are random."""

    name: Literal["tiny-text-net"]
    width: int = Field(8, ge=1, description="Length of an embedding.")

    input_type = ftrun.TextInput

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """A net on texts of at most 32 words, with embeddings [B, width]."""
        from ftrun.testing.tinytexts import tiny_text_net, tiny_tokenizer

        return tiny_text_net(self.width, ftrun.TextInput(length=32, tokenizer=tiny_tokenizer()).changed(**overrides))


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
