"""Modifier `resize-vocabulary`: words, rows, and what a run keeps of them."""

import json
from pathlib import Path

import pytest
import tinyencoder
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tokenizers import Tokenizer

import ftrun
from ftrun.inference.opened import open_run
from ftrun.runs.folder import RunFolder
from ftrun_devkit import tiny_run
from ftrun_devkit.run import interrupted_run
from ftrun_devkit.tiny import TinyNet
from ftrun_transformers import ResizeVocabulary, Transformers
from ftrun_transformers.vocabulary import costly_words


class Texts:
    """A split of these texts."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.columns = {"label": torch.zeros(len(texts), dtype=torch.int64)}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> ftrun.Sample:
        return self.texts[index], {"label": self.columns["label"][index]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tinyencoder.write(tmp_path / "tiny")


@pytest.fixture
def net(folder: Path) -> ftrun.Net:
    torch.manual_seed(0)
    net = Transformers(name="transformers", model=str(folder), pretrained=False).build({})
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    return net


def resized(net: ftrun.Net, *words: str) -> ftrun.Net:
    return ResizeVocabulary(name="resize-vocabulary", words=words).build(net)


def rows(net: ftrun.Net) -> torch.Tensor:
    return net.model.get_input_embeddings().weight.detach().clone()


def test_a_new_row_is_the_mean_of_its_pieces_and_the_others_stay(net: ftrun.Net):
    before, old = rows(net), net.input
    resized(net, "tokenizers", "Thunder")
    after = rows(net)
    assert torch.equal(after[: len(before)], before)
    token, iz, er, s = (tinyencoder.VOCABULARY.index(piece) for piece in ("token", "##iz", "##er", "##s"))
    torch.testing.assert_close(after[len(before)], before[[token, iz, er, s]].mean(dim=0))
    torch.testing.assert_close(after[len(before) + 1], before[old.pieces("thunder")].mean(dim=0))
    assert len(after) == len(before) + 2 == net.input.vocabulary_size
    assert json.loads(net.config)["vocab_size"] == len(after)


def test_the_tokenizer_finds_the_word_where_it_stands_alone(net: ftrun.Net):
    new = len(rows(net))
    before = net.input.collate(["the rain, tokenizer"])
    resized(net, "tokenizers")
    assert net.input.collate(["the Tokenizers, tea"]).tolist()[0][2] == new  # [CLS] the tokenizers
    assert net.input.collate(["tokenizers"]).tolist()[0][1:-1] == [new]
    assert new not in net.input.collate(["tokenizersx xtokenizers"])
    assert torch.equal(net.input.collate(["the rain, tokenizer"]), before)


def test_rows_to_spare_are_used_first(tmp_path: Path):
    folder = tinyencoder.write(tmp_path / "roomy", vocab_size=len(tinyencoder.VOCABULARY) + 5)
    net = Transformers(name="transformers", model=str(folder), pretrained=False).build({})
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    before, old = rows(net), net.input
    after = rows(resized(net, "thunder"))
    assert after.shape == before.shape
    new = len(tinyencoder.VOCABULARY)
    torch.testing.assert_close(after[new], before[old.pieces("thunder")].mean(dim=0))
    assert torch.equal(after[new + 1 :], before[new + 1 :])


def test_words_that_are_there_change_nothing(net: ftrun.Net):
    before = net.input
    resized(net, "rain", "THE")
    assert net.input == before
    resized(net, "thunder")
    grown = net.input
    resized(net, "thunder", "Thunder")
    assert net.input == grown


def test_the_costliest_words_are_those_that_take_the_most_tokens(net: ftrun.Net):
    texts = Texts(
        *["the rain"] * 50,  # whole
        *["tokens"] * 4,  # token ##s: one more than a word needs, 4 in all
        *["Tokenizers, or tokenizers?"] * 2,  # 4 pieces, 3 more each: 12 in all
        "extraordinarily",  # 15 letters: 14
        *["1234567890"] * 9,  # no word
    )
    assert costly_words(net, texts, 2) == ["extraordinarily", "tokenizers"]
    assert costly_words(net, texts, 9) == ["extraordinarily", "tokenizers", "tokens", "or"]


def test_an_embedding_that_does_not_learn_stays_so(net: ftrun.Net):
    net.model.get_input_embeddings().weight.requires_grad_(False)
    resized(net, "thunder")
    assert not net.model.get_input_embeddings().weight.requires_grad


def test_it_needs_something_to_add_and_a_net_for_texts():
    with pytest.raises(ValidationError, match="adds nothing"):
        ResizeVocabulary(name="resize-vocabulary")
    with pytest.raises(ValidationError, match="a word is empty"):
        ResizeVocabulary(name="resize-vocabulary", words=("a", " "))
    images = TinyNet(name="tiny-net").build({})
    with pytest.raises(ftrun.SpecError, match="needs a net that reads texts"):
        ResizeVocabulary(name="resize-vocabulary", words=("a",)).build(images)


class TestRun:
    @pytest.fixture
    def spec(self, folder: Path) -> dict:
        return {
            "backbone": {"name": "transformers", "model": str(folder), "pretrained": False},
            "modifiers": [{"name": "resize-vocabulary", "words": ["spoon"], "most": 3}],
        }

    def test_it_keeps_its_words_and_is_opened_with_them(self, spec: dict, tmp_path: Path):
        run = tinyencoder.run(tmp_path / "run", **spec)
        best = run / "checkpoints" / "best"
        weights = load_file(best / "model.safetensors")
        count = len(tinyencoder.VOCABULARY) + 4
        assert len(weights["embeddings.word_embeddings.weight"]) == count
        assert json.loads((best / "config.json").read_text())["vocab_size"] == count
        net = open_run(RunFolder.existing(run), "cpu").net
        assert net.input.tokenizer == (best / "tokenizer.json").read_text()
        assert torch.equal(rows(net), weights["embeddings.word_embeddings.weight"])
        assert net.input.collate(["the spoon"])[0, 2] >= len(tinyencoder.VOCABULARY)

    @pytest.mark.slow  # as the contract's survives-resume
    def test_it_resumes_to_the_bit(self, spec: dict, tmp_path: Path):
        folders = []
        for name, start in (("whole", tiny_run), ("broken", interrupted_run)):
            (tmp_path / name).mkdir()
            folders.append(start(tmp_path / name, dataset="tiny-texts", **spec).folder / "checkpoints" / "last")
        for name in ("model.safetensors", "state.safetensors", "tokenizer.json", "config.json"):
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()

    def test_a_run_without_it_keeps_the_tokenizer_as_it_came(self, spec: dict, folder: Path, tmp_path: Path):
        run = tinyencoder.run(tmp_path / "run", backbone=spec["backbone"])
        kept = Tokenizer.from_file(str(run / "checkpoints" / "best" / "tokenizer.json"))
        came = Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert kept.get_vocab() == came.get_vocab()
        assert len(rows(open_run(RunFolder.existing(run), "cpu").net)) == len(tinyencoder.VOCABULARY)
        kept.no_padding()
        text = "the spoon, and the Tokenizers"
        assert kept.encode(text).ids == came.encode(text).ids
