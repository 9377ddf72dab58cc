"""Texts: cut into tokens on the CPU by the tokenizer that came with the weights, padded to the longest of a batch."""

import json
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ftrun import DataError, DynamicDim, FtrunError, InputSpec, SpecError, TensorLayout, library_errors

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor


class TextInput(InputSpec):
    """A text: its tokens, cut off where they are too many. The tokenizer is in the state of the net's backbone."""

    suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    task: ClassVar[str | None] = "text-classification"
    sample_expr: ClassVar[str] = '"a text"'
    cached: ClassVar[bool] = False

    kind: Literal["text"] = "text"
    length: int = Field(ge=1, description="Most tokens of a text, those that mark its ends included; the rest is cut.")
    tokenizer: str = Field(
        "",
        exclude=True,
        repr=False,
        description="The tokenizer, as the library tokenizers writes it, with its padding.",
    )

    @property
    def tokens(self) -> "Tokenizer":
        """The tokenizer itself, which cuts off and pads: to be read from, not to be changed.

        Raises FtrunError where it is no tokenizer, or does not say what it pads with, SpecError where `length` leaves
        no room for a text.
        """
        return _tokenizer(self.tokenizer, self.length)

    @property
    def pad_id(self) -> int:
        """The token that fills up a batch's shorter texts."""
        padding: Any = self.tokens.padding
        return int(padding["pad_id"])

    @property
    def marks(self) -> list[int]:
        """The tokens that are no part of a text: padding, what marks its ends, a word that is hidden."""
        special = (token for token, each in self.tokens.get_added_tokens_decoder().items() if each.special)
        return sorted({self.pad_id, *special})

    @property
    def blank_id(self) -> int | None:
        """The token that stands for any word: a mask, or else an unknown word's; None where it has neither."""
        added = self.tokens.get_added_tokens_decoder()
        masks = [
            token for token, each in added.items() if each.special and each.content.strip("[]<>").lower() == "mask"
        ]
        if masks:
            return int(masks[0])
        model = json.loads(self.tokenizer)["model"]
        unknown: int | None = (
            self.tokens.token_to_id(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")
        )
        return unknown

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest token, those that were added included."""
        return max(self.tokens.get_vocab(with_added_tokens=True).values()) + 1

    def accepts(self, raw: Any) -> bool:
        """Return whether it is a str."""
        return isinstance(raw, str)

    @property
    def requirement(self) -> str:
        """A str."""
        return "a text, str"

    def collate(self, raw: Sequence[str]) -> "Tensor":
        """int64 [B, T] from texts: T is the length of the longest one, or 1; others are filled up with `pad_id`."""
        import torch

        tokens = [encoding.ids or [self.pad_id] for encoding in self.tokens.encode_batch_fast(list(raw))]
        return torch.tensor(tokens, dtype=torch.int64)

    def prepare(self, batch: "Tensor") -> "Tensor":
        """Tokens int64 [B, T] as they are: a net finds the padding by `pad_id`."""
        return batch

    def example(self, count: int) -> list[str]:
        """Texts of words from the vocabulary, of different lengths."""
        words = sorted(word for word in self.tokens.get_vocab() if word.isalpha()) or ["text"]
        return [
            " ".join(words[(7 * text + 31 * place) % len(words)] for place in range(1 + text % 9))
            for text in range(count)
        ]

    def export_description(self, *, prepared: bool) -> str:
        """Tokens, prepared or not."""
        return (
            "int64 [batch, length]: the tokens that the tokenizer beside the file cuts texts into, the first "
            f"{self.length} of them, filled up with {self.pad_id}"
        )

    def limitations(self) -> Iterator[str]:
        """How long the texts are."""
        yield f"It sees the first {self.length:,} tokens of a text, words or parts of words, and not what comes after."

    @property
    def collated_layout(self) -> TensorLayout:
        """Tokens."""
        return TensorLayout("int64", (DynamicDim("length", 1, self.length),), fill=self.pad_id)

    def pieces_of_new(self, old: "TextInput") -> dict[int, list[int]]:
        """The tokens that `old` has not, and what it cuts each of them into: where an embedding has rows to add.

        A new row that is the mean of its pieces' rows starts as what the net read before (Gee et al., "Fast Vocabulary
        Transfer for Language Model Compression", EMNLP 2022); with no pieces, it is the mean of all rows (Hewitt,
        "Initializing New Word Embeddings for Pretrained Language Models", 2021).
        """
        if old.tokenizer == self.tokenizer:
            return {}
        known = old.tokens.get_vocab()
        new = {word: token for word, token in self.tokens.get_vocab().items() if word not in known}
        return {token: old.pieces(word) for word, token in sorted(new.items(), key=lambda item: item[1])}

    def pieces(self, word: str) -> list[int]:
        """What a word within a text is cut into, by itself, with nothing that marks the ends of a text."""
        ids: list[int] = _whole(self.tokenizer).encode(f" {word}", add_special_tokens=False).ids
        return ids

    def from_line(self, line: str) -> str:
        """The line itself."""
        return line

    def read(self, path: str | os.PathLike[str]) -> str:
        """The text in a file, UTF-8. Raises DataError, with the path."""
        try:
            return Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise DataError(f"{os.fspath(path)}: cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError as error:
            raise DataError(f"{os.fspath(path)}: is no text in UTF-8: byte {error.start} is not.") from None

    def files(self) -> dict[str, str]:
        """The tokenizer."""
        return {"tokenizer.json": self.tokenizer}

    def collate_options(self) -> Any:
        """Length and tokenizer, by its digest."""
        return {**self.model_dump(mode="json"), "tokenizer": sha256(self.tokenizer.encode()).hexdigest()}


@lru_cache(maxsize=8)
def _tokenizer(text: str, length: int) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise FtrunError('texts are cut into tokens with tokenizers. Run: pip install "ftrun-inputs[text]"') from None
    with library_errors("the tokenizer is damaged", FtrunError):
        tokenizer = Tokenizer.from_str(text)
        padding, marks = tokenizer.padding, tokenizer.num_special_tokens_to_add(False)
        tokenizer.enable_truncation(length)
    if length <= marks:  # tokenizers would cut off nothing at all, or all of the text
        raise SpecError(
            f"{length} is too short: the tokenizer marks a text with {marks} tokens of its own, which count, and one "
            f"of the text has to be left. Set it to {marks + 1} or more.",
            where="input.length",
        )
    if not padding:
        raise FtrunError("the tokenizer does not say what it pads with: its `padding` is empty.")
    tokenizer.enable_padding(pad_id=padding["pad_id"], pad_token=padding["pad_token"])  # to the longest, on the right
    return tokenizer


@lru_cache(maxsize=8)
def _whole(text: str) -> "Tokenizer":
    """The same, which neither cuts off nor pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
