"""The net of the backbone `tiny-text-net`."""

from collections.abc import Iterable

from torch import Tensor, nn

import ftrun
import ftrun_inputs


class _TinyTextNet(ftrun.Net):
    def features(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.model.get_submodule("embedding")(x)
        return embedded

    def pool(self, features: Tensor) -> Tensor:
        """The mean over the words: what is zero throughout is padding."""
        words = (features != 0).any(dim=2).sum(dim=1, keepdim=True)
        return features.sum(dim=1) / words.clamp(min=1)


def tiny_text_net(width: int, input: ftrun_inputs.TextInput) -> ftrun.Net:  # noqa: A002  (the contract's word)
    """Embedding, mean over the words, linear head."""
    model = nn.Sequential()
    model.add_module("embedding", nn.Embedding(input.vocabulary_size, width, padding_idx=input.pad_id))
    model.add_module("head", nn.Linear(width, 1000))
    stages = {"embedding": ["embedding"]}
    return _TinyTextNet(model, input=input, num_features=width, head_path="head", stages=stages)


def tiny_tokenizer(words: Iterable[str]) -> str:
    """The tokenizer that knows these words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokens = {word: token for token, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(tokens, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    text: str = tokenizer.to_str()
    return text
