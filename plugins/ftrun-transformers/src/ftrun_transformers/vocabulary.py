"""Words that a text net's tokenizer and embedding are made longer by."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Tokenizer

import ftrun
import ftrun_inputs

_WORD = re.compile(r"\w+")
_AT_ONCE = 1000  # texts


def text_input(net: "ftrun.Net", who: str = "resize-vocabulary") -> ftrun_inputs.TextInput:
    """The net's input. Raises SpecError where it is no text."""
    if not isinstance(net.input, ftrun_inputs.TextInput):
        raise ftrun.SpecError(f"{who!r} needs a net that reads texts; this one takes {type(net.input).__name__}.")
    return net.input


def add_words(net: "ftrun.Net", words: Iterable[str]) -> None:
    """Give the net's tokenizer the words that it has not as a whole, and the net a row for each.

    A word counts where it stands between what is no letter and no digit, in whatever form the tokenizer reads it
    (one that knows no capitals finds it with capitals too).
    """
    text = text_input(net)
    tokenizer = Tokenizer.from_str(text.tokenizer)
    new = [word for word in dict.fromkeys(words) if len(text.pieces(word)) != 1 or _unknown(tokenizer, text, word)]
    # lstrip: a space before the word goes with it, as it does with words that were there from the beginning
    tokens = [AddedToken(word, single_word=True, lstrip=True, normalized=True) for word in new]
    if tokens and tokenizer.add_tokens(tokens):
        net.set_input(text.changed(tokenizer=tokenizer.to_str()))


def costly_words(net: "ftrun.Net", train: ftrun.Split, most: int) -> list[str]:
    """The `most` words that would save the most tokens in the training texts: times seen x (pieces - 1)."""
    text = text_input(net)
    seen = Counter(word for raw in _texts(train) for word in _WORD.findall(_normalized(text, raw)))
    saved = {word: times * (len(text.pieces(word)) - 1) for word, times in seen.items()}
    worth = [word for word, tokens in saved.items() if tokens > 0 and any(map(str.isalpha, word))]
    return sorted(worth, key=lambda word: (-saved[word], word))[:most]


def _normalized(text: ftrun_inputs.TextInput, raw: str) -> str:
    normalizer = text.tokens.normalizer
    return str(normalizer.normalize_str(raw)) if normalizer is not None else raw


def _unknown(tokenizer: Tokenizer, text: ftrun_inputs.TextInput, word: str) -> bool:
    """Whether a word of one piece is that of all unknown words."""
    name = json.loads(text.tokenizer)["model"].get("unk_token")
    return isinstance(name, str) and text.pieces(word) == [tokenizer.token_to_id(name)]


def _texts(split: ftrun.Split) -> Iterator[str]:
    for start in range(0, len(split), _AT_ONCE):
        for index in range(start, min(start + _AT_ONCE, len(split))):
            raw, _ = split[index]
            if not isinstance(raw, str):
                raise ftrun.SpecError(f"the dataset's inputs are no texts, but {type(raw).__name__}.")
            yield raw
