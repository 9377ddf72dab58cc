"""Words are hidden, each by itself; what marks the ends of a text, and padding, stay."""

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor

import ftrun
from ftrun_inputs import TextInput
from ftrun_text import WordDropout
from ftrun_text.vocabulary import made_of

WORDS = [f"word{number}" for number in range(40)]


def text_input(*special: str) -> TextInput:
    """With marks of its own; or with none but what an unknown word is called."""
    if not special:
        return TextInput(length=64, tokenizer=made_of(WORDS))
    names = ["[PAD]", "[UNK]", *special]
    tokenizer = Tokenizer(WordLevel({word: token for token, word in enumerate([*names, *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(names)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    marks = [(each, tokenizer.token_to_id(each)) for each in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    return TextInput(length=64, tokenizer=tokenizer.to_str())


def hidden(of: TextInput, texts: list[str], seed: int = 0, ids: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    tokens = of.collate(texts)
    ids = torch.arange(len(texts)) if ids is None else torch.tensor(ids)
    augment = WordDropout(name="word-dropout", **options).build(of)
    before = tokens.clone()
    after = augment(ftrun.Batch(tokens, {}, ids), ftrun.SampleRandom(seed, ids)).inputs
    assert torch.equal(tokens, before)
    return before, after


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[(3 * text + 7 * place) % 40] for place in range(5 + text % 30)) for text in range(count)]


@pytest.mark.parametrize("special", [(), ("[CLS]", "[SEP]"), ("[CLS]", "[SEP]", "[MASK]")])
def test_words_are_hidden_and_marks_are_not(special: tuple[str, ...]) -> None:
    of = text_input(*special)
    before, after = hidden(of, texts(200), p=0.3)
    changed = before != after
    blank = of.tokens.token_to_id("[MASK]" if "[MASK]" in special else "[UNK]")
    assert bool((after[changed] == blank).all())
    marks = torch.isin(before, torch.tensor(of.marks))
    assert not bool(changed[marks].any())
    assert 0.27 < float(changed[~marks].float().mean()) < 0.33
    assert of.marks == (list(range(len(special) + 2)) if special else [0])


def test_what_becomes_of_a_text_depends_on_itself_alone() -> None:
    of, many = text_input(), texts(30)
    _, together = hidden(of, many)
    for index in (0, 7, 29):
        _, alone = hidden(of, [many[index]], ids=[index])
        assert torch.equal(alone[0], together[index, : alone.shape[1]])
    assert not torch.equal(hidden(of, many, seed=1)[1], together)
    before, after = hidden(of, many, p=0)
    assert torch.equal(before, after)


def test_a_tokenizer_without_a_word_for_what_is_hidden_is_refused() -> None:
    tokenizer = Tokenizer(BPE({"a": 0, "b": 1}, []))
    tokenizer.enable_padding(pad_id=0, pad_token="a")
    with pytest.raises(ftrun.SpecError, match="neither a mask nor"):
        WordDropout(name="word-dropout").build(TextInput(length=8, tokenizer=tokenizer.to_str()))
