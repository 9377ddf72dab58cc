"""Folders that are damaged, or meant to harm: one message, nothing in them runs, and nobody is asked."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tinyencoder
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

import ftrun
from ftrun_transformers import Transformers


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder with its weights."""
    made = tinyencoder.write(tmp_path_factory.mktemp("whole") / "encoder")
    model = AutoModel.from_config(AutoConfig.from_pretrained(made))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, made / "model.safetensors")
    return made


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "encoder")


def config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def content(name: str, text: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    return change


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def tokenizer_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def other_shapes(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: torch.zeros(3) for name in weights}, folder / "model.safetensors")


DAMAGED: dict[str, Callable[[Path], None]] = {
    "truncated weights": truncated,
    "empty weights": content("model.safetensors", b""),
    "a header of 2^60 bytes": content("model.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "other shapes": other_shapes,
    "config is no JSON": content("config.json", "{"),
    "config is a list": content("config.json", "[]"),
    "config is bytes": content("config.json", b"\xff\xfe\x00"),
    "config without a type": content("config.json", "{}"),
    "a width that is text": config(hidden_size="wide"),
    "a width that is null": config(hidden_size=None),
    "a width of 0": config(hidden_size=0),
    "a negative width": config(hidden_size=-16),
    "no heads": config(num_attention_heads=0),
    "a width of 10^12": config(hidden_size=10**12),
    "10^12 words": config(vocab_size=10**12),
    "10^9 layers": config(num_hidden_layers=10**9),
    "10^12 positions": config(max_position_embeddings=10**12),
    "an unknown model": config(model_type="no-such-model"),
    "another architecture": config(model_type="gpt2"),
    "of images": config(model_type="vit"),
    "an unknown activation": config(hidden_act="no-such-activation"),
    "no tokenizer": without_tokenizer,
    "tokenizer is no JSON": content("tokenizer.json", "{"),
    "tokenizer is another object": content("tokenizer.json", '{"version": "1.0", "model": 7}'),
    "tokenizer is a list": content("tokenizer.json", "[]"),
    "more words than rows": config(vocab_size=20),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_folder_is_one_message(damage: Callable[[Path], None], folder: Path):
    damage(folder)
    with pytest.raises(ftrun.SpecError, match=rf"{folder}|config\.json: |are of two models"):
        Transformers(name="transformers", model=str(folder)).build({})


def test_a_tokenizer_that_does_not_say_how_long_texts_may_be_takes_what_the_model_does(folder: Path):
    tokenizer_config(model_max_length="long")(folder)
    assert Transformers(name="transformers", model=str(folder)).build({}).input.length == 40


class _Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("as_torch_saves", [True, False])
def test_pickled_weights_run_nothing(as_torch_saves: bool, folder: Path, tmp_path: Path):
    (folder / "model.safetensors").unlink()
    harm = _Harm(tmp_path / "harmed")
    if as_torch_saves:
        torch.save({"weight": harm}, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(harm, protocol=2))
    with pytest.raises(ftrun.SpecError, match="its weights are a pickle"):
        Transformers(name="transformers", model=str(folder)).build({})
    assert not (tmp_path / "harmed").exists()


CODE = "import os\nos.mkdir({marker!r})\nfrom transformers import BertConfig as Own, BertModel, BertTokenizerFast\n"
AUTO = {"AutoConfig": "own.Own", "AutoModel": "own.BertModel"}
AUTO_TOKENIZER = {"AutoTokenizer": ["own.Own", "own.BertTokenizerFast"]}


@pytest.fixture
def marker(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there once code of the folder has run; whoever asks a question fails."""
    marker = tmp_path / "harmed"
    (folder / "own.py").write_text(CODE.format(marker=str(marker)))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    return marker


def with_config(state: ftrun.PartState, **changes: Any) -> ftrun.PartState:
    """The state with another configuration."""
    config = json.dumps({**json.loads(state.text("config.json")), **changes})
    return ftrun.PartState(files={**state.files, "config.json": config.encode()})


def test_code_of_a_model_that_transformers_has_is_left_alone(folder: Path, marker: Path):
    config(auto_map=AUTO)(folder)
    tokenizer_config(tokenizer_class="BertTokenizerFast", auto_map=AUTO_TOKENIZER)(folder)
    part = Transformers(name="transformers", model=str(folder))
    net = part.build({})
    assert "auto_map" not in net.config
    part.build({}, with_config(part.state(net), auto_map=AUTO))
    assert not marker.exists()


def test_a_model_that_is_code_of_its_own_is_refused(folder: Path, marker: Path):
    config(model_type="own", auto_map=AUTO)(folder)
    with pytest.raises(ftrun.SpecError, match="is code of its own") as error:
        Transformers(name="transformers", model=str(folder)).build({})
    assert "trust_remote_code" not in str(error.value)
    assert not marker.exists()


def test_a_tokenizer_that_is_code_of_its_own_does_not_run(folder: Path, marker: Path):
    tokenizer_config(tokenizer_class="Own", auto_map=AUTO_TOKENIZER)(folder)
    Transformers(name="transformers", model=str(folder)).build({})
    assert not marker.exists(), "tokenizer.json is all that is read"


def test_a_saved_configuration_that_is_hostile_is_one_message(folder: Path):
    part = Transformers(name="transformers", model=str(folder))
    state = part.state(part.build({}))
    for change in ({"hidden_size": "x"}, {"vocab_size": 10**13}, {"num_hidden_layers": 10**9}, {"model_type": 7}):
        with pytest.raises(ftrun.FtrunError, match=r"config\.json"):
            part.build({}, with_config(state, **change))
    with pytest.raises(ftrun.FtrunError, match="the tokenizer is damaged"):
        part.build({}, ftrun.PartState(files={**state.files, "tokenizer.json": b"{"}))
    assert part.state(part.build({}, state)) == state
