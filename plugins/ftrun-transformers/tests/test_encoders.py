"""Nets of transformers: padding, pooling, stages, and weights that go home to their library."""

import json
import shutil
from pathlib import Path

import pytest
import tinyencoder
import torch
import warm
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

import ftrun
from ftrun.inference.opened import open_run
from ftrun.runs.folder import RunFolder
from ftrun.train.nets import build_net
from ftrun.train.partstates import PartStates
from ftrun_transformers import Transformers
from ftrun_transformers.net import EncoderNet

TEXTS = ["Rain", "the train, the road and the maps", "", "salt salt salt soup 1 2 3 tea wind zzz bread tokenizers"]
FAMILIES = {
    "albert": {"embedding_size": 8},
    "bert": {},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": {"embedding_size": 8},
    "modernbert": {"pad_token_id": 0, "global_attn_every_n_layers": 1},
    "mpnet": {"pad_token_id": 0},
    "roberta": {"pad_token_id": 0},
}


def build(folder: Path, **options: object) -> EncoderNet:
    torch.manual_seed(0)
    overrides = options.pop("overrides", {})
    return Transformers(name="transformers", model=str(folder), **options).build(overrides)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with weights, to look at."""
    place = tinyencoder.write(tmp_path_factory.mktemp("made") / "tiny")
    net = build(place, pretrained=False)
    save_file({k: v for k, v in net.model.state_dict().items() if "classifier" not in k}, place / "model.safetensors")
    return place


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "tiny")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, EncoderNet]:
    """The name of a family, and a tiny net of it."""
    place = tinyencoder.write(
        tmp_path_factory.mktemp("family"), model_type=request.param, architectures=None, **FAMILIES[request.param]
    )
    net = build(place, pretrained=False)
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    return request.param, net


@torch.no_grad()
def test_padding_changes_nothing(family: tuple[str, EncoderNet]):
    net = family[1].eval()
    tokens = net.input.collate(TEXTS)
    features = net.features(tokens)
    assert features.shape == (*tokens.shape, net.num_features)
    padding = tokens == net.input.pad_id
    assert padding.any()
    assert not features[padding].any()
    assert features[~padding].any(dim=1).all()
    together = net.features(torch.nn.functional.pad(tokens, (0, 5), value=net.input.pad_id))
    alone = [net.features(net.input.collate([text])) for text in TEXTS]
    for net.pooling in ("cls", "mean"):
        for one, pooled in zip(alone, net.pool(together), strict=True):
            torch.testing.assert_close(net.pool(one)[0], pooled, rtol=1e-5, atol=1e-5)


def test_stages_go_from_the_embeddings_to_the_head(family: tuple[str, EncoderNet]):
    name, net = family
    net.train()
    layers = ["layers.0"] if name == "albert" else ["layers.0", "layers.1"]  # ALBERT's layers share one's weights
    behind = ["norm"] if name in ("deberta-v2", "modernbert", "mpnet") else []
    assert list(net.stages) == ["embeddings", *layers, *behind, "head"]
    net(net.input.collate(TEXTS))["label"].square().sum().backward()
    without = [name for name, parameter in net.model.named_parameters() if parameter.grad is None]
    assert without == []


def test_the_mean_is_that_of_the_tokens_and_the_first_is_the_first(folder: Path):
    net = build(folder).eval()
    tokens = net.input.collate(["rain", "the train and the road"])
    features = net.features(tokens)
    for row in range(2):
        inside = features[row][tokens[row] != 0]
        torch.testing.assert_close(net.pool(features)[row], inside.mean(dim=0))
    assert torch.equal(build(folder, pooling="cls").eval().pool(features), features[:, 0])
    assert build(folder, normalize=True).pool(features).norm(dim=1).tolist() == pytest.approx([1, 1])


def test_it_gives_what_transformers_gives(folder: Path):
    net = build(folder).eval()
    theirs, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=net.input.length, return_tensors="pt")
    assert torch.equal(net.input.collate(TEXTS), batch["input_ids"])
    with torch.no_grad():
        states = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"][:, :, None]
        torch.testing.assert_close(net.features(batch["input_ids"]), states * mask)


class TestInput:
    def test_length_is_the_tokenizers_and_what_the_spec_says(self, folder: Path):
        assert build(folder).input.length == 32
        assert build(folder, overrides={"length": 5}).input.collate([TEXTS[3]]).shape == (1, 5)

    def test_no_more_tokens_than_the_model_has_positions(self, folder: Path):
        assert build(folder, overrides={"length": 40}).input.length == 40
        with pytest.raises(ftrun.SpecError, match="takes texts of 40 tokens at most, not 41"):
            build(folder, overrides={"length": 41})

    def test_roberta_counts_positions_from_its_padding(self, tmp_path: Path):
        place = tinyencoder.write(tmp_path, model_type="roberta", pad_token_id=0, architectures=None)
        with pytest.raises(ftrun.SpecError, match="39 tokens at most"):
            build(place, pretrained=False, overrides={"length": 40})


class TestMistakes:
    def test_a_model_with_a_decoder(self, tmp_path: Path):
        tinyencoder.write(tmp_path, model_type="t5", d_model=16)
        with pytest.raises(ftrun.SpecError, match=r"\(t5\) is an encoder with a decoder"):
            build(tmp_path)

    def test_a_folder_without_weights(self, tmp_path: Path):
        tinyencoder.write(tmp_path)
        with pytest.raises(ftrun.SpecError, match=r"the folder: .*model\.safetensors"):
            build(tmp_path)

    def test_weights_that_lack_something(self, folder: Path):
        weights = load_file(folder / "model.safetensors")
        del weights["encoder.layer.1.output.dense.weight"]
        save_file(weights, folder / "model.safetensors")
        with pytest.raises(ftrun.SpecError, match=r"1 tensors are missing .*encoder\.layer\.1\.output\.dense\.weight"):
            build(folder)

    def test_no_padding_token(self, folder: Path):
        described = json.loads((folder / "tokenizer_config.json").read_text())
        del described["pad_token"]
        (folder / "tokenizer_config.json").write_text(json.dumps(described))
        with pytest.raises(ftrun.SpecError, match="no token to fill up texts with"):
            build(folder)


OFFLINE = """
import ftrun
from ftrun_transformers import Transformers
try:
    Transformers(name="transformers", model="nobody/no-model").build({})
except ftrun.FtrunError as error:
    print(error.exit_code, error)
"""


@pytest.mark.parametrize(
    "offline",
    [
        pytest.param({}, id="unreachable"),
        pytest.param({"HF_HUB_OFFLINE": "1"}, id="set", marks=pytest.mark.slow),
    ],
)
def test_without_network_it_says_what_to_do(offline: dict[str, str], tmp_path: Path):
    nobody = "http://127.0.0.1:9"
    given = {"HF_ENDPOINT": nobody, "HF_HOME": str(tmp_path), "https_proxy": nobody, **offline}
    answer, errors = warm.Process(code=OFFLINE, **given).communicate()
    assert errors == ""
    assert answer.startswith("1 nobody/no-model could not be fetched from https://huggingface.co: ")
    assert '"transformers/PATH"' in answer


@pytest.fixture(scope="module")
def run(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from a folder that is gone since."""
    place = tmp_path_factory.mktemp("run")
    backbone = {"name": "transformers", "model": str(shutil.copytree(made, place / "tiny"))}
    run = tinyencoder.run(place / "run", backbone=backbone, input={"length": 9})
    shutil.rmtree(place / "tiny")
    return run


class TestRun:
    """A run needs nothing but its folder, and its checkpoint is a folder of transformers'."""

    def test_it_is_opened_without_the_folder_that_it_is_from(self, run: Path):
        opened = open_run(RunFolder.existing(run), "cpu")
        assert opened.net.input.length == 9
        weights = load_file(run / "checkpoints" / "best" / "model.safetensors")
        assert all(torch.equal(tensor, weights[name]) for name, tensor in opened.net.model.state_dict().items())
        answers = ftrun.load(run).predict(["rain and wind", "bread"])
        assert [len(each.scores) for each in answers] == [1, 1]

    def test_transformers_loads_its_best_checkpoint(self, run: Path):
        best = run / "checkpoints" / "best"
        opened = open_run(RunFolder.existing(run), "cpu")
        theirs, info = AutoModel.from_pretrained(best, add_pooling_layer=False, output_loading_info=True)
        assert not info["missing_keys"]
        assert set(info["unexpected_keys"]) == {"classifier.weight", "classifier.bias"}
        tokenizer = AutoTokenizer.from_pretrained(best)
        tokens = opened.net.input.collate(TEXTS)
        again = tokenizer(TEXTS, padding=True, truncation=True, max_length=9, return_tensors="pt")["input_ids"]
        assert torch.equal(again, tokens)
        with torch.no_grad():
            states = theirs.eval()(input_ids=tokens, attention_mask=(tokens != 0).long()).last_hidden_state
            torch.testing.assert_close(opened.net.features(tokens), states * (tokens != 0)[:, :, None])

    def test_a_damaged_configuration_is_told(self, run: Path):
        opened = open_run(RunFolder.existing(run), "cpu")
        saved, files = json.loads(opened.net.input.model_dump_json()), opened.states.now()["backbone"].files
        wrong = ftrun.PartState(files={**files, "config.json": b'{"model_type": "none"}'})
        with pytest.raises(ftrun.FtrunError, match=r"config\.json: is damaged"):
            build_net(opened.spec, opened.net.targets, PartStates({"backbone": wrong}, saved))
        lacking = ftrun.PartState(files={"config.json": files["config.json"]})
        with pytest.raises(ftrun.FtrunError, match=r"is damaged: it has no text tokenizer\.json"):
            build_net(opened.spec, opened.net.targets, PartStates({"backbone": lacking}, saved))

    def test_its_configuration_does_not_say_where_it_was_read(self, run: Path):
        files = [path for path in (run / "checkpoints" / "best").iterdir() if path.suffix == ".json"]
        assert {"config.json", "tokenizer.json"} <= {path.name for path in files}
        kept = json.loads((run / "checkpoints" / "best" / "config.json").read_text())
        assert str(run.parent) not in json.dumps(kept)
        assert open_run(RunFolder.existing(run), "cpu").net.config == (run / "checkpoints/best/config.json").read_text()
