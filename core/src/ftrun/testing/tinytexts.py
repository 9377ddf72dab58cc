"""The texts of the dataset `tiny-texts`, and the net of the backbone `tiny-text-net`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

import ftrun

_OF_CLASS = "class{}"
_OTHERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_MOST_CLASSES = 32


class TinyTexts:
    """Texts in memory, and their classes int64 [N]."""

    in_memory = True

    def __init__(self, texts: Sequence[str], labels: Tensor) -> None:
        self.texts = list(texts)
        self.targets = {"label": labels}
        self.lengths = torch.tensor([len(text) for text in texts])

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return self.texts[index], {"label": self.targets["label"][index]}


def tiny_texts(count: int, classes: int, seed: int) -> TinyTexts:
    """Texts whose class one of their words says, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    texts = []
    for label in labels.tolist():
        length = int(torch.randint(1, 10, (), generator=generator))
        words = [_OTHERS[each] for each in torch.randint(len(_OTHERS), (length,), generator=generator)]
        words[int(torch.randint(length, (), generator=generator))] = _OF_CLASS.format(label)
        texts.append(" ".join(words))
    return TinyTexts(texts, labels)


def tiny_tokenizer() -> str:
    """The tokenizer that knows the words of tiny texts."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[PAD]", "[UNK]", *_OTHERS, *(_OF_CLASS.format(label) for label in range(_MOST_CLASSES))]
    tokenizer = Tokenizer(WordLevel({word: token for token, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    text: str = tokenizer.to_str()
    return text


class _TinyTextNet(ftrun.Net):
    def features(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.model.get_submodule("embedding")(x)
        return embedded

    def pool(self, features: Tensor) -> Tensor:
        """The mean over the words: what is zero throughout is padding."""
        words = (features != 0).any(dim=2).sum(dim=1, keepdim=True)
        return features.sum(dim=1) / words.clamp(min=1)


def tiny_text_net(width: int, input: ftrun.TextInput) -> ftrun.Net:  # noqa: A002  (the contract's word)
    """Embedding, mean over the words, linear head."""
    model = nn.Sequential()
    model.add_module("embedding", nn.Embedding(input.vocabulary_size, width, padding_idx=0))
    model.add_module("head", nn.Linear(width, 1000))
    return _TinyTextNet(model, input=input, num_features=width, head_path="head", stages={"embedding": ["embedding"]})
