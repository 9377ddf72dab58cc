"""A vocabulary of one's own: the most frequent words of the texts that are learnt from, in lower case."""

from collections.abc import Iterable, Mapping

from tokenizers import Tokenizer, normalizers
from tokenizers.models import WordLevel
from tokenizers.normalizers import NFC, Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import WordLevelTrainer

PAD, UNKNOWN = "[PAD]", "[UNK]"  # tokens 0 and 1; no text has them, because words and punctuation are told apart


def learnt(texts: Iterable[list[str]], size: int, min_count: int) -> str:
    """The tokenizer, as `TextInput` keeps it, with the words of `texts` that stand there at least `min_count` times.

    texts: in portions, for speed; size: most tokens, padding and unknown included. The more frequent word comes first;
    of equally frequent ones, the first in the order of their characters.
    """
    counting = _splitter({})
    counting.train_from_iterator(
        texts, WordLevelTrainer(vocab_size=max(1, size - 2), min_frequency=min_count, show_progress=False)
    )
    words = counting.get_vocab()
    return made_of(sorted(words, key=words.__getitem__)[: size - 2])


def made_of(words: Iterable[str]) -> str:
    """The tokenizer that knows these words, and calls all others unknown."""
    tokenizer = _splitter({word: token for token, word in enumerate([PAD, UNKNOWN, *words])})
    tokenizer.enable_padding(pad_id=0, pad_token=PAD)
    text: str = tokenizer.to_str()
    return text


def _splitter(tokens: Mapping[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(dict(tokens), unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([NFC(), Lowercase()])
    tokenizer.pre_tokenizer = Whitespace()  # runs of letters and digits, and runs of other signs
    return tokenizer
