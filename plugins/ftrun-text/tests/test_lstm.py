"""The backbone `lstm`: what it computes, the words that it learns, and whole runs."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ftrun
import ftrun_inputs
from ftrun.cli import main
from ftrun_devkit import tiny_run
from ftrun_devkit.properties.net import expect_same
from ftrun_devkit.run import interrupted_run
from ftrun_devkit.tiny import TinyTextSplit
from ftrun_text import Lstm
from ftrun_text.lstm import LstmLayer, LstmNet
from ftrun_text.vocabulary import learnt, made_of

WORDS = ["red", "green", "blue", "and", "the"]


def net_of(words: list[str], **options: Any) -> LstmNet:
    torch.manual_seed(0)
    part = Lstm.model_validate({"name": "lstm", "width": 6, "embedding": 5, **options})
    net = part.build({})
    net.set_input(net.input.changed(tokenizer=made_of(words)))
    net.set_targets({"label": ftrun.Classes(names=("a", "b", "c"))})
    assert isinstance(net, LstmNet)
    return net.eval()


def output(net: LstmNet, texts: list[str]) -> torch.Tensor:
    return net(net.input.prepare(net.input.collate(texts)))["label"]


def random_texts(count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(count)]


# What it computes


@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_a_layer_gives_what_packed_sequences_give(bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = LstmLayer(4, 3, bidirectional)
    reference = nn.LSTM(4, 3, batch_first=True, bidirectional=bidirectional)
    weights = dict(layer.rightwards.state_dict())
    if layer.leftwards is not None:
        weights |= {f"{name}_reverse": value for name, value in layer.leftwards.state_dict().items()}
    reference.load_state_dict(weights)
    x, lengths = torch.randn(5, 7, 4), torch.tensor([7, 1, 3, 6, 2])
    there = (torch.arange(7) < lengths[:, None])[..., None]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True, total_length=7)
    torch.testing.assert_close(layer(x, there), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"layers": 3}, {"bidirectional": False, "layers": 2}], ids=str)
@torch.no_grad()
def test_padding_changes_nothing(options: dict[str, Any]) -> None:
    net = net_of(WORDS, **options)
    texts = random_texts(20)
    together = output(net, texts)
    for position, text in enumerate(texts):
        torch.testing.assert_close(output(net, [text])[0], together[position], rtol=0, atol=1e-6)


@torch.no_grad()
def test_features_are_zero_where_there_is_no_word_and_pool_is_the_mean_of_the_others() -> None:
    net = net_of(WORDS)
    features = net.features(net.input.collate(["red green", "blue", ""]))
    assert features.shape == (3, 2, 12)
    assert not features[1, 1].any()
    assert not features[2].any()
    expected = torch.stack([features[0].mean(0), features[1, 0], torch.zeros(12)])
    torch.testing.assert_close(net.pool(features), expected)
    assert net.pool(net.features(net.input.collate(["", " "]))).shape == (2, 12)


def test_stages_are_the_embedding_and_each_layer() -> None:
    net = net_of(WORDS, layers=2)
    assert list(net.stages) == ["embedding", "layer1", "layer2", "head"]
    net.freeze(["embedding", "layer1"])
    net.train()
    output(net, ["red green", "blue"]).sum().backward()
    assert net.model.embedding.weight.grad is None
    assert all(parameter.grad is not None for parameter in net.model.layers[1].parameters())


# The words


def test_the_most_frequent_words_are_learnt_in_lower_case() -> None:
    texts = [["The red, the RED!", "the green [PAD]"], ["blue; the [PAD]", "Ünder u\u0308nder red"]]
    made = ftrun_inputs.TextInput(length=9, tokenizer=learnt(texts, 20, 2))
    assert sorted(made.tokens.get_vocab(), key=made.tokens.get_vocab().get) == [
        "[PAD]", "[UNK]", "the", "red", "[", "]", "pad", "ünder"
    ]  # fmt: skip
    assert made.collate(["THE [PAD] UNSEEN"]).tolist() == [[2, 4, 6, 5, 1]]  # no text has the token of padding
    assert ftrun_inputs.TextInput(length=9, tokenizer=learnt(texts, 4, 1)).vocabulary_size == 4
    assert ftrun_inputs.TextInput(length=9, tokenizer=learnt(texts, 2, 1)).vocabulary_size == 2


def test_words_are_learnt_from_the_training_texts() -> None:
    part = Lstm.model_validate({"name": "lstm", "min_count": 1, "vocabulary": 50})
    net = part.build({"length": 3})
    texts = TinyTextSplit(20, seed=0)
    part.fit(net, ftrun.Subset(texts, torch.arange(10)))
    words = {word for text in texts.texts[:10] for word in text.split()}
    assert set(net.input.tokens.get_vocab()) == {"[PAD]", "[UNK]", *words}
    assert net.input.length == 3
    assert net.model.embedding.num_embeddings == 2 + len(words)
    images = ftrun.TensorSplit(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), {"label": torch.zeros(4, dtype=torch.int64)})
    with pytest.raises(ftrun.SpecError, match="takes texts"):
        part.fit(net, images)
    with pytest.raises(ftrun.SpecError, match="no word stands in the training texts 30 times"):
        part.model_copy(update={"min_count": 30}).fit(net, ftrun.Subset(texts, torch.arange(10)))


def test_words_keep_their_rows_where_the_vocabulary_changes() -> None:
    net = net_of(["red", "green"])
    before = net.model.embedding.weight.detach().clone()
    net.set_input(net.input.changed(tokenizer=made_of(["blue", "green"])))
    after = net.model.embedding.weight
    assert torch.equal(after[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.equal(after[2], before[2])
    assert not after[0].any()


# Whole runs


def reviews(path: Path, count: int = 240) -> Path:
    """Texts of two to nine words, one of which says whether they are good."""
    draw = random.Random(1)
    filler = [f"word{number}" for number in range(60)]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "stars"])
        for number in range(count):
            words = draw.choices(filler, k=draw.randint(1, 8))
            words.insert(
                draw.randrange(len(words)), draw.choice(["superb", "lovely"] if number % 2 else ["dull", "awful"])
            )
            rows.writerow([(", ", '\n"')[number % 3 == 0].join(words), "good" if number % 2 else "bad"])
    return path


def run_spec(path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "csv", "path": str(path), "text": "review", "target": "stars"},
        "backbone": {"name": "lstm", "width": 16, "embedding": 16},
        "loss": "cross-entropy",
        "optimizer": {"name": "adamw", "lr": 0.02},
        "metrics": ["accuracy"],
        "train": {"epochs": 10, "batch_size": 16, "precision": "fp32", "memory_format": "contiguous", "workers": 0},
        **changes,
    }


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run through the command line."""
    place = tmp_path_factory.mktemp("run")
    (place / "spec.json").write_text(json.dumps(run_spec(reviews(place / "reviews.csv"))))
    invoke("run", place / "spec.json", "--out", place / "run", "--device", "cpu")
    return place / "run"


def test_a_run_learns_and_keeps_its_words(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert results["test"]["accuracy"] >= 0.95
    assert results["samples"] == {"train": 194, "val": 22, "test": 24}
    words = json.loads((finished / "checkpoints/best/tokenizer.json").read_text())["model"]["vocab"]
    assert {"superb", "dull", "word1"} <= set(words)


def test_a_run_predicts_and_is_judged_again(finished: Path, tmp_path: Path) -> None:
    model = ftrun.load(finished, device="cpu")
    said = model.predict(["word1, word2, superb", "an awful word7", ""])
    assert [each.name for each in said[:2]] == ["good", "bad"]
    assert 0.5 < said[0].score <= 1
    (tmp_path / "text.txt").write_text("a lovely word3")
    assert "good" in invoke("predict", finished, tmp_path / "text.txt")
    judged = json.loads(invoke("evaluate", finished, "--json"))
    recorded = json.loads((finished / "results.json").read_text())
    assert judged["test"]["loss"] == recorded["test"]["loss"]
    other = tmp_path / "other.jsonl"
    other.write_text('{"said": "word3, lovely", "is": "good"}\n{"said": "dull word9", "is": "bad"}\n')
    dataset = {"name": "jsonl", "path": str(other), "text": "said", "target": "is", "test_fraction": 0}
    told = invoke("evaluate", finished, "--dataset", json.dumps(dataset), "--json")
    judged = json.loads(told)
    assert judged["all"]["accuracy"] == 1


def test_a_report_is_written_anew(finished: Path) -> None:
    said = invoke("report", finished)
    assert "report.html" in said
    assert "not at hand" not in said
    assert "word1" in (finished / "report.html").read_text()


def test_files_and_lines_are_predicted(finished: Path, tmp_path: Path) -> None:
    texts = ["a lovely word3", "", "dull, awful"]
    expected = ftrun.load(finished, device="cpu").predict(texts)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text)
    (folder / "image.png").write_bytes(b"no text")
    told = json.loads(invoke("predict", finished, folder, "--json"))
    assert [each["file"] for each in told] == [str(folder / f"{number}.txt") for number in range(3)]
    lines = tmp_path / "lines"
    lines.write_bytes("\ufeff{}\n{}\r\n{}".format(*texts).encode() + b"\ncaf\xe9\n")
    result = CliRunner().invoke(main, ["predict", str(finished), "--lines", str(lines), "-", "--json"], input=texts[0])
    assert result.exit_code == 4
    assert "Error: 1 of 5 lines could not be read." in result.stderr
    assert f"{lines}:4: is no text in UTF-8." in result.stderr
    by_line = json.loads(result.stdout)
    assert [each["file"] for each in by_line] == [*(f"{lines}:{number}" for number in range(1, 5)), "-:1"]
    del by_line[3]
    for each, one in zip([*told, *by_line], [*expected, *expected, expected[0]], strict=True):
        assert each["label"] == pytest.approx(dict(one.scores), abs=1e-5)


def test_another_run_starts_from_it_word_by_word(finished: Path, tmp_path: Path) -> None:
    path = reviews(tmp_path / "other.csv")
    path.write_text(path.read_text().replace("word1,", "new1,").replace("superb", "stellar"))
    (tmp_path / "spec.json").write_text(json.dumps(run_spec(path, train={"epochs": 1, "batch_size": 16, "workers": 0})))
    told = invoke("run", tmp_path / "spec.json", "--out", tmp_path / "run", "--init-from", finished, "--device", "cpu")
    vocabulary = json.loads((tmp_path / "run/checkpoints/best/tokenizer.json").read_text())["model"]["vocab"]
    known = json.loads((finished / "checkpoints/best/tokenizer.json").read_text())["model"]["vocab"]
    both = len(vocabulary.keys() & known.keys())
    assert len(vocabulary) > both
    assert f"embedding.weight: {both} of {len(vocabulary)} words are known there" in told.replace("\n    ", " ")
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["val"]["accuracy"] > 0.8  # in one epoch, of what it knew


def test_weights_of_equal_shape_go_by_the_word_too() -> None:
    one, other = net_of(["red", "green"]), net_of(["green", "blue"])
    with torch.no_grad():
        one.model.embedding.weight.add_(1)
    state = Lstm(name="lstm").state(one)
    weights, notes = other.remap_weights(one.model.state_dict(), state)
    assert torch.equal(weights["embedding.weight"][2], one.model.embedding.weight[3])
    assert torch.equal(weights["embedding.weight"][3], other.model.embedding.weight[3])
    assert notes == ["embedding.weight: 3 of 4 words are known there, and taken over; the others start anew"]
    assert one.remap_weights(one.model.state_dict(), state)[1] == []
    assert other.remap_weights(one.model.state_dict(), None)[1] == []


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_resume_is_exact(workers: int, tmp_path: Path) -> None:
    spec = run_spec(reviews(tmp_path / "reviews.csv", count=80))
    spec |= {"backbone": {**spec["backbone"], "layers": 2, "dropout": 0.3}}
    spec["train"] = {**spec["train"], "epochs": 2, "workers": workers}
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, broken = tiny_run(tmp_path / "whole", **spec), interrupted_run(tmp_path / "broken", stop_at=7, **spec)
    expect_same(whole, broken)
    assert "resum" in broken.log


def test_a_frozen_net_reads_its_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of the head alone read what the rest gave once; with no cache, the result is the same."""
    spec = run_spec(reviews(tmp_path / "reviews.csv", count=80))
    spec["train"] = {**spec["train"], "phases": [{"epochs": 2, "freeze": "layer1"}]}
    del spec["train"]["epochs"]
    figures = []
    for place, room in (("with", "1"), ("without", "0")):
        (tmp_path / place).mkdir()
        monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("FTRUN_CACHE_GB", room)
        run = tiny_run(tmp_path / place, **spec)
        assert ("its embeddings are kept" in run.log) == (room == "1")
        assert ("its embeddings are in memory" in run.log) == (room == "0")
        figures.append(run.results["val"])
    assert figures[0] == figures[1]


def test_images_and_texts_are_not_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    path = str(reviews(tmp_path / "reviews.csv", count=40))
    dataset = {"name": "csv", "path": path, "text": "review", "target": "stars"}
    with pytest.raises(ftrun.SpecError, match="'tiny-net' takes images, but the dataset 'csv' gives texts"):
        tiny_run(tmp_path, dataset=dataset, train={"epochs": 1, "workers": 0})
    with pytest.raises(ftrun.SpecError, match="'lstm' takes texts, but the dataset 'tiny-images' gives images"):
        tiny_run(tmp_path / "other", dataset="tiny-images", backbone="lstm")
