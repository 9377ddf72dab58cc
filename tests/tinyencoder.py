"""A tiny encoder of transformers in a folder, two layers of BERT and a tokenizer of words and letters; and runs."""

import json
from pathlib import Path

from click.testing import CliRunner
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from ftrun.cli import main
from ftrun_devkit import tiny, tiny_spec

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = ["the", "a", "rain", "wind", "snow", "bread", "soup", "salt", "train", "road", "token", "##iz", "##er", "##s"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
VOCABULARY = list(dict.fromkeys([*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]))


def write(folder: Path, **config: object) -> Path:
    """Write config.json and the tokenizer to `folder`, without weights: a model of it has random ones."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
        "initializer_range": 0.5,  # a model that is trained is not near to nothing either
        **config,
    }
    (folder / "config.json").write_text(json.dumps(described))
    tokenizer().save(str(folder / "tokenizer.json"))
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return folder


def tokenizer() -> Tokenizer:
    """Lower case; [CLS] before a text and [SEP] after it."""
    made = Tokenizer(WordPiece({word: index for index, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(word, VOCABULARY.index(word)) for word in ("[CLS]", "[SEP]")]
    )
    return made


def run(folder: Path, **changes: object) -> Path:
    """`ftrun SPEC --out folder` on tiny texts; with a copy of the tiny parts, so that it can be opened again."""
    spec = {"parts": tiny.__file__, **tiny_spec(dataset="tiny-texts", **changes)}
    given = folder.with_suffix(".json")
    given.write_text(json.dumps(spec))
    result = CliRunner().invoke(main, [str(given), "--out", str(folder), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    return folder
