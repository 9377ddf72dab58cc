"""Whole runs on texts by the command line: MiniLM's real weights, and a tiny encoder that is killed and resumed."""

import csv
import json
from pathlib import Path

import pytest
import tinyencoder
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support import ftrun_process, write_spec
from tokenizers import Tokenizer

import ftrun as api
from ftrun_devkit import tiny
from ftrun_report import pushing

PARTS = "parts_of_texts.py"


@pytest.fixture(autouse=True)
def parts(site):
    """The kit's dataset of texts as a project's own part, under a name that no other test has."""
    Path(PARTS).write_text(Path(tiny.__file__).read_text())


def spec(**changes) -> dict:
    return {
        "parts": PARTS,
        "dataset": {"name": "tiny-texts", "samples": 18},
        "backbone": "minilm",
        "input": {"length": 12},
        "loss": "cross-entropy",
        "optimizer": {"name": "adamw", "lr": 0.001},
        "metrics": ["accuracy"],
        "train": {"epochs": 1, "batch_size": 6, "precision": "fp32", "memory_format": "contiguous"},
        **changes,
    }


@pytest.mark.parametrize(
    ("backbone", "frozen", "accuracy"),
    [("transformers/tiny", "layers.0", 0), pytest.param("minilm", "layers.4", 0.5, marks=pytest.mark.slow)],
)
def test_an_encoder_runs_and_is_evaluated_and_predicts(backbone, frozen, accuracy, site, ftrun, monkeypatch):
    save_weights(tinyencoder.write(Path("tiny")))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)  # nothing is fetched
    phases = [{"epochs": 2, "freeze": "features"}, {"epochs": 1, "freeze": frozen, "lr_scale": 0.1}]
    train = {**spec()["train"], "phases": phases}
    train.pop("epochs")
    result = ftrun(write_spec(spec(backbone=backbone, train=train)), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    results = json.loads(Path("run/results.json").read_text())
    assert results["test"]["accuracy"] >= accuracy

    evaluated = ftrun("evaluate", "run", "--split", "test", "--json")
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(evaluated.output)["test"]["accuracy"] == results["test"]["accuracy"]

    pushed = pushing.files(api.open("run"))
    assert pushed["tokenizer.json"] == Path("run/checkpoints/best/tokenizer.json")

    texts = ["rain and wind", "a ticket for the train, and maps of every road"]
    for number, text in enumerate(texts):
        Path(f"{number}.txt").write_text(text)
    result = ftrun("predict", "run", "0.txt", "1.txt", "--top", "3", "--csv", "answers.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.reader(Path("answers.csv").read_text().splitlines()))[1:]
    assert [row[0] for row in rows] == ["0.txt", "1.txt"]
    Path("folder").mkdir()
    table = Path("answers.csv").rename("folder/answers.txt").read_bytes()
    refused = ftrun("predict", "run", "folder", "--top", "3", "--csv", "folder/answers.txt", "--force")
    assert (refused.exit_code, "is one of the inputs" in refused.output) == (2, True)
    assert Path("folder/answers.txt").read_bytes() == table
    answers = api.load("run").predict(texts, top=3)
    assert [row[1] for row in rows] == [answer.name for answer in answers]
    assert sum(answers[0].scores.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("backbone", ["transformers/tiny", "lstm"])
def test_swapping_the_backbone_is_one_word(backbone, site, ftrun):
    save_weights(tinyencoder.write(Path("tiny")))
    given = write_spec(spec())
    result = ftrun(given, "--out", "run", "--device", "cpu", "--set", f"backbone={backbone}")
    assert result.exit_code == 0, result.output
    resolved = json.loads(Path("run/resolved.json").read_text())["spec"]
    plain = json.loads(ftrun("check", given, "--json").output)["spec"]
    assert resolved.pop("backbone")["name"] == backbone.partition("/")[0]
    assert plain.pop("backbone")["name"] == "minilm"
    assert Path(resolved.pop("parts")).name == Path(plain.pop("parts")).name
    assert resolved == plain


def save_weights(folder: Path) -> None:
    from transformers import AutoConfig, AutoModel

    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


def test_a_precision_that_the_processor_has_no_kernel_in_is_a_mistake_of_the_spec(site):
    """oneDNN has an LSTM in bf16 from AVX-512 on."""
    train = {"epochs": 1, "batch_size": 6, "precision": "bf16", "memory_format": "contiguous"}
    path = write_spec(spec(backbone="lstm", train=train))
    result = ftrun_process(path, "--device", "cpu", ONEDNN_MAX_CPU_ISA="AVX2")
    wanted = "Error: train.precision: bf16: this processor has no kernel for a layer of the net in it."
    assert (result.returncode, result.stderr.splitlines()[-1][: len(wanted)]) == (2, wanted), result.stderr


@pytest.mark.parametrize("backbone", ["transformers", "lstm"])
def test_words_are_added_to_any_net_that_reads_texts(backbone, site, ftrun):
    folder = tinyencoder.write(Path("tiny").absolute())
    options = {"model": str(folder), "pretrained": False} if backbone == "transformers" else {"min_count": 1}
    words = [{"name": "resize-vocabulary", "words": ["the spoon", "zebra"]}]
    given = write_spec(spec(backbone={"name": backbone, **options}, modifiers=words))
    result = ftrun(given, "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    tokens = api.load("run").input.tokens
    new = [tokens.token_to_id(word) for word in words[0]["words"]]
    assert set(new) <= set(tokens.encode("a zebra and the spoon").ids)
    (embedding,) = (
        tensor
        for name, tensor in load_file("run/checkpoints/best/model.safetensors").items()
        if name.endswith(("word_embeddings.weight", "embedding.weight"))
    )
    assert sorted(new) == [len(embedding) - 2, len(embedding) - 1]


@pytest.mark.slow
def test_words_and_adapters_survive_kills(site):
    folder = tinyencoder.write(Path("tiny").absolute())
    given = spec(
        backbone={"name": "transformers", "model": str(folder), "pretrained": False},
        modifiers=[
            {"name": "resize-vocabulary", "words": ["spoon"], "most": 2},
            {"name": "lora", "rank": 2, "dropout": 0.1},
        ],
    )
    result = ftrun_process("verify-resume", write_spec(given), "--kills", "1")
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "a resumed run of this spec ends as an uninterrupted one, to the bit"
    assert result.returncode == 0


def test_a_run_starts_from_the_weights_of_another(site, ftrun):
    folder = tinyencoder.write(Path("tiny").absolute())
    backbone = {"name": "transformers", "model": str(folder), "pretrained": False}
    assert ftrun(write_spec(spec(backbone=backbone)), "--out", "first", "--device", "cpu").exit_code == 0
    second = spec(backbone=backbone, optimizer={"name": "adamw", "lr": 1e-12})
    result = ftrun(write_spec(second), "--out", "second", "--device", "cpu", "--init-from", "first")
    assert result.exit_code == 0, result.output
    first, second = (load_file(f"{run}/checkpoints/best/model.safetensors") for run in ("first", "second"))
    assert all(torch.allclose(second[name], tensor, atol=1e-6) for name, tensor in first.items())


def test_rows_go_by_their_tokens_where_another_run_has_other_words(site, ftrun):
    folder = tinyencoder.write(Path("tiny").absolute())
    backbone = {"name": "transformers", "model": str(folder), "pretrained": False}
    runs = {"first": ["spoon", "zebra"], "second": ["zebra", "thunder"]}
    for run, words in runs.items():
        modifiers = [{"name": "resize-vocabulary", "words": words}]
        given = write_spec(spec(backbone=backbone, modifiers=modifiers, optimizer={"name": "adamw", "lr": 1e-12}))
        start = ["--init-from", "first"] if run == "second" else []
        result = ftrun(given, "--out", run, "--device", "cpu", *start)
        assert result.exit_code == 0, result.output
    old = len(tinyencoder.VOCABULARY)
    assert f"{old + 1} of {old + 2} tokens are known there" in result.output
    first, second = (
        load_file(f"{run}/checkpoints/best/model.safetensors")["embeddings.word_embeddings.weight"] for run in runs
    )
    assert torch.allclose(second[:old], first[:old], atol=1e-6)
    assert torch.allclose(second[old], first[old + 1], atol=1e-6)
    assert not torch.allclose(second[old + 1], first[old], atol=1e-2)


def test_adapters_are_merged_and_words_are_told_where_a_run_is_exported(site, ftrun):
    folder = tinyencoder.write(Path("tiny").absolute())
    modifiers = [{"name": "resize-vocabulary", "words": ["spoon"]}, {"name": "lora", "rank": 2}]
    backbone = {"name": "transformers", "model": str(folder), "pretrained": False}
    result = ftrun(write_spec(spec(backbone=backbone, modifiers=modifiers)), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    kept = load_file("run/checkpoints/best/model.safetensors")
    assert any("lora_A" in name for name in kept)
    for form, file in (("safetensors", "net.safetensors"), ("torch-export", "net.pt2")):
        result = ftrun("export", "run", "--format", form, "--out", file, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["parity"]["targets"]["label"]["max_difference"] <= 1e-4
    with safe_open("net.safetensors", "pt") as opened:
        names = set(opened.keys())
    assert names == {name.replace(".base_layer.", ".") for name in kept if ".lora_" not in name}
    beside = Path("net.pt2.tokenizer.json").read_text()
    assert beside == Path("run/checkpoints/best/tokenizer.json").read_text()
    tokens = Tokenizer.from_str(beside).encode_batch(["the spoon", "rain and wind and the train"])
    program = torch.export.load("net.pt2").module()
    scores = program(torch.tensor([each.ids for each in tokens]))["label"]
    for row, answer in zip(scores, api.load("run").predict(["the spoon", "rain and wind and the train"]), strict=True):
        assert row.max().item() == pytest.approx(answer.score, abs=1e-5)
