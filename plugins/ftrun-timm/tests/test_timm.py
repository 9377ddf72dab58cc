"""Nets of forty families of timm, against plain timm; weights, sizes and errors."""

import copy
import pickle
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import warm
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ftrun
from ftrun_timm import Timm

SEVEN = {"label": ftrun.Classes(names=tuple("abcdefg"))}

# A small model of each family, and the side of a small image for it.
SMALLEST = {
    "coat_lite_tiny": 32,
    "convit_tiny": 32,
    "cspnext_tiny": 32,
    "deit_tiny_patch16_224": 32,
    "densenet121": 32,
    "dla46x_c": 32,
    "dpn48b": 32,
    "edgenext_xx_small": 32,
    "efficientvit_b0": 32,
    "efficientvit_m0": 224,
    "ese_vovnet19b_slim_dw": 32,
    "fasternet_t0": 32,
    "fastvit_t8": 32,
    "ghostnet_050": 32,
    "gmlp_ti16_224": 32,
    "hardcorenas_b": 32,
    "hgnetv2_b0": 32,
    "iformer_t": 64,
    "inception_next_atto": 32,
    "lcnetv2_small": 32,
    "lowformer_b0": 32,
    "mixer_s32_224": 32,
    "mobilenetv3_small_050": 32,
    "mobilevit_xxs": 64,
    "pit_ti_224": 64,
    "poolformerv2_s12": 32,
    "pvt_v2_b0": 32,
    "regnetx_002": 32,
    "repghostnet_050": 32,
    "resnetv2_18": 32,
    "rexnet_100": 32,
    "shvit_s1": 64,
    "skresnet18": 32,
    "starnet_s050": 32,
    "swin_tiny_patch4_window7_224": 64,
    "test_byobnet": 32,
    "test_coatnet": 64,
    "test_convnext": 32,
    "test_efficientnet": 32,
    "test_mambaout": 32,
    "test_nfnet": 32,
    "test_resnet": 32,
    "test_vit": 32,
    "test_vit_relpos": 32,
    "tiny_vit_5m_224": 64,
    "vgg11": 32,
    "visformer_tiny": 32,
    "vit_tiny_patch16_dinov3_qkvb": 32,  # comes without classes
    "xcit_nano_12_p8_224": 32,
}


# With those of timm's own for tests, they go every way that there is through net.py and build.py; the others are slow.
IN_CI = ("dla46x_c", "efficientvit_b0", "efficientvit_m0", "mobilenetv3_small_050", "pit_ti_224", "starnet_s050")
IN_CI += ("vit_tiny_patch16_dinov3_qkvb",)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def build(
    model: str, side: int | tuple[int, int] | None = None, *, pretrained: bool = False, checkpoint: Path | None = None
) -> ftrun.Net:
    overrides: dict[str, Any] = {} if side is None else {"size": side if isinstance(side, tuple) else (side, side)}
    return Timm(name="timm", model=model, pretrained=pretrained, checkpoint=checkpoint).build(overrides)


def images(net: ftrun.Net, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, *net.input.size)


def shaken(net: ftrun.Net) -> None:
    """Fresh norms and heads are ones and zeros, under which a layer that is left out would not show."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)


def test_part_from_json():
    part = Timm.model_validate_json('{"name": "timm", "model": "resnet18", "checkpoint": "a/b.pth"}')
    assert (part.pretrained, part.checkpoint) == (True, Path("a/b.pth"))
    assert Timm.family == "model"


@torch.no_grad()
def check_levels(net: ftrun.Net, x: Tensor) -> None:
    """The maps are from high resolution to low, and the last one is what the head is given."""
    net.eval()
    *_, last = maps = net.pyramid(x)
    assert torch.equal(last, net.features(x))
    assert [each.channels for each in net.levels] == [each.shape[1 if each.ndim == 4 else 2] for each in maps]
    assert all(before.shape[2] >= 1.5 * after.shape[2] for before, after in pairwise(maps))
    net.train()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each not in IN_CI and not each.startswith("test_")))
        for each in SMALLEST
    ],
)
def test_family(model: str, tmp_path: Path):
    net = build(model, SMALLEST[model])
    assert net.training
    net.set_targets(SEVEN)
    shaken(net)
    x = images(net)

    features = net.features(x)
    assert features.ndim in (3, 4)
    check_levels(net, x)
    assert net.pool(features).shape == (2, net.num_features)
    output = net(x)["label"]
    assert output.shape == (2, 7)

    output.square().sum().backward()
    stages = net.stages
    assert sorted(sum(stages.values(), ())) == sorted(name for name, _ in net.weights.named_parameters())
    assert next(iter(stages)) == "stem"
    assert [*stages][-1] == "head"
    assert len(stages) >= 4
    for stage in ("stem", "head"):
        grads = [net.get_parameter(name).grad for name in stages[stage]]
        assert all(grad.isfinite().all() for grad in grads if grad is not None)
        assert any(grad is not None and grad.any() for grad in grads)

    save_file({name: tensor.clone() for name, tensor in net.model.state_dict().items()}, tmp_path / "n.safetensors")
    size = {"img_size": net.input.size} if net.model.pretrained_cfg.get("fixed_input_size") else {}
    with torch.device("meta" if model == "vgg11" else "cpu"):  # spares VGG's 130 M random numbers
        plain = timm.create_model(model, pretrained=False, num_classes=7, **size)
    plain.load_state_dict(load_file(tmp_path / "n.safetensors"), assign=model == "vgg11")
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x)["label"], plain.eval()(x), rtol=1e-4, atol=1e-4)


def test_several_targets_where_timm_has_a_convolution():
    net = build("dla46x_c", 32)
    net.set_targets({**SEVEN, "age": ftrun.Values()})
    assert {name: tuple(out.shape) for name, out in net(images(net)).items()} == {"label": (2, 7), "age": (2, 1)}


@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_a_net_may_take_other_sizes_and_gives_the_same_at_its_own(model: str):
    net = build(model, 64).eval()
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    x = images(net)
    with torch.no_grad():
        before, names = net(x)["label"], [name for name, _ in net.named_parameters()]
        net.take_other_sizes()
        assert torch.equal(net(x)["label"], before)
        assert net(x[..., :32, :32])["label"].shape == before.shape
    assert [name for name, _ in net.named_parameters()] == names


@pytest.mark.parametrize("model", ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224", "dla46x_c"])
def test_copies_are_independent_and_equal(model: str):
    net = build(model, 64).eval()
    x = images(net)
    with torch.no_grad():
        twin = copy.deepcopy(net)
        expected = net.head(net.embed(x))
        net.get_parameter(net.stages["head"][0]).zero_()
        assert torch.equal(twin.head(twin.embed(x)), expected)
        assert not torch.equal(net.head(net.embed(x)), expected)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("test_resnet", ("global_pool",)),
        ("test_efficientnet", ("global_pool",)),
        ("test_convnext", ("head.global_pool", "head.norm", "head.flatten", "head.drop")),
        ("mobilenetv3_small_050", ("global_pool", "conv_head", "act2", "flatten")),
        ("efficientvit_m0", ("global_pool", "head.bn", "head.drop")),  # timm's embedding is before the norm
        ("test_vit", ()),
        ("swin_tiny_patch4_window7_224", ()),
        ("test_mambaout", ()),
    ],
)
def test_pool_layers(model: str, layers: tuple[str, ...]):
    net = build(model, SMALLEST[model]).eval()
    assert net.pool_layers == layers
    if layers:
        shaken(net)
        with torch.no_grad():
            x = features = net.features(images(net))
            for path in layers:
                layer = net.model.get_submodule(path)
                x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
            torch.testing.assert_close(x.flatten(1), net.pool(features))


def test_maps_have_their_channels_first():
    net = build("swin_tiny_patch4_window7_224", 64)
    assert net.features(images(net)).shape == (2, 768, 2, 2)


def test_stages_are_paths_of_modules():
    net = build("test_vit", 32)
    assert [*net.stages] == ["stem", *(f"blocks.{i}" for i in range(6)), "head"]
    before = {stage: len(names) for stage, names in net.stages.items()}
    net.model.blocks[2].attn.qkv = nn.Sequential(net.model.blocks[2].attn.qkv, nn.Linear(1, 1))  # as an adapter would
    assert len(net.stages["blocks.2"]) == before["blocks.2"] + 2


def test_a_layer_called_head_is_not_the_head():
    net = build("selecsls42", 64)
    assert [*net.stages][-2:] == ["neck", "head"]
    assert net.stages["head"] == ("model.fc.weight", "model.fc.bias")


def test_models_without_stages_of_timm_get_one_for_each_block():
    assert [*build("poolformerv2_s12", 32).stages] == [
        "stem",
        *(f"stages.{i}" for i in range(4)),
        "head.norm",
        "head",
    ]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("coat_tiny", "several maps"),
        ("deit_tiny_distilled_patch16_224", "several classifiers.*'deit_tiny_patch16_224"),
        ("efficientvim_m1", "several maps"),
        ("levit_128s", "several classifiers.*'efficientvit_m0"),
    ],
)
def test_models_that_do_not_split_say_why(model: str, why: str):
    with pytest.raises(ftrun.SpecError, match=f"timm's {model} does not split into features, pool and head: .*{why}"):
        build(model)


def test_building_draws_no_random_numbers_of_its_own():
    """The check on one random image leaves the global generator where timm left it."""
    timm.create_model("test_resnet", pretrained=False)
    after_timm = torch.get_rng_state()
    torch.manual_seed(0)
    build("test_resnet")
    assert torch.equal(torch.get_rng_state(), after_timm)


class TestInput:
    def test_is_that_of_the_weights(self):
        given = build("test_resnet.r160_in1k").input
        config = timm.get_pretrained_cfg("test_resnet.r160_in1k")
        assert (given.size, given.mean, given.std) == ((160, 160), config.mean, config.std)
        assert (given.interpolation, given.crop) == (config.interpolation, config.crop_pct)

    def test_spec_changes_it(self):
        net = build("test_vit", (32, 64))
        assert (net.input.size, net.input.crop) == ((32, 64), 1.0)
        assert net.model.pos_embed.shape[1] == 1 + 2 * 4

    @pytest.mark.parametrize(
        ("model", "side", "why"),
        [
            ("test_vit", 40, "16 x 16.*multiples"),
            ("mixer_s32_224", 48, "32 x 32.*multiples"),
            ("halonet_h1", 32, "own size is 256 x 256"),
            ("maxvit_pico_rw_256", 16, "own size is 256 x 256"),
            ("maxvit_rmlp_pico_rw_256", 8, "own size is 256 x 256"),
        ],
    )
    def test_sizes_that_do_not_fit(self, model: str, side: int, why: str):
        with pytest.raises(ftrun.SpecError, match=f"{model} does not take images of {side} x {side} pixels.*{why}"):
            build(model, side)


def test_mean_and_std_of_one_channel_are_named_as_such():
    part = Timm(name="timm", model="resnet18", pretrained=False)
    with pytest.raises(ftrun.SpecError, match="takes images of 3 channels, but mean and std have 1 value") as caught:
        part.build({"mean": (0.5,), "std": (0.5,)})
    assert caught.value.where == "input"


class TestNames:
    def test_unknown_model(self):
        with pytest.raises(ftrun.SpecError, match=r"no model 'resnet1x8'\. Did you mean 'resnet18'\?"):
            build("resnet1x8.a1_in1k")

    def test_unknown_tag(self):
        with pytest.raises(
            ftrun.SpecError, match=r"no weights with the tag 'a1_in2k'\. Did you mean 'a1_in1k'\?.*fb_ssl"
        ):
            build("resnet18.a1_in2k")

    def test_no_pretrained_weights(self):
        with pytest.raises(ftrun.SpecError, match=r"no pretrained weights for 'coatnet_0_224'.*\"pretrained\": false"):
            build("coatnet_0_224", pretrained=True)


class TestCheckpoint:
    @pytest.fixture
    def state(self) -> dict[str, Tensor]:
        return timm.create_model("test_resnet", pretrained=False).state_dict()

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_file(self, state: dict[str, Tensor], tmp_path: Path, suffix: str):
        path = tmp_path / f"weights{suffix}"
        save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state, "epoch": 3}, path)
        net = build("test_resnet", 32, pretrained=True, checkpoint=path)  # nothing is downloaded
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.model.state_dict().items())

    def test_head_for_other_classes_is_left_out(self, tmp_path: Path):
        state = timm.create_model("test_resnet", pretrained=False, num_classes=3).state_dict()
        torch.save(state, tmp_path / "three.pth")
        net = build("test_resnet", 32, checkpoint=tmp_path / "three.pth")
        assert net.head.weight.shape == (1000, 96)
        assert torch.equal(net.model.conv1[0].weight, state["conv1.0.weight"])

    def test_file_as_a_training_script_leaves_it(self, tmp_path: Path):
        """In a nest, under a prefix, with a head of other classes: which is a note."""
        state = timm.create_model("test_resnet", pretrained=False, num_classes=3).state_dict()
        torch.save({"epoch": 3, "model": {f"module.backbone.{k}": v for k, v in state.items()}}, tmp_path / "run.pth")
        net = build("test_resnet", 32, checkpoint=tmp_path / "run.pth")
        assert torch.equal(net.model.conv1[0].weight, state["conv1.0.weight"])
        (note,) = net.notes
        assert "its head is left out, of other classes: fc.weight [3, 96], fc.bias [3]" in note

    def test_head_is_left_out_where_the_model_has_none(self, tmp_path: Path):
        model = "vit_tiny_patch16_dinov3_qkvb"
        state = timm.create_model(model, pretrained=False, num_classes=3, img_size=32).state_dict()
        torch.save(state, tmp_path / "three.pth")
        net = build(model, 32, checkpoint=tmp_path / "three.pth")
        assert torch.equal(net.model.patch_embed.proj.weight, state["patch_embed.proj.weight"])

    def test_position_embeddings_are_resampled(self, tmp_path: Path):
        plain = timm.create_model("test_vit", pretrained=False)
        save_file(plain.state_dict(), tmp_path / "vit.safetensors")
        net = build("test_vit", 32, checkpoint=tmp_path / "vit.safetensors")
        assert net.model.pos_embed.shape[1] == 1 + 2 * 2
        assert torch.equal(net.model.blocks[0].attn.qkv.weight, plain.blocks[0].attn.qkv.weight)
        assert torch.equal(net.head.weight, plain.head.weight)
        assert "state_dict" not in net.model.pretrained_cfg

    def test_file_that_does_not_fit(self, state: dict[str, Tensor], tmp_path: Path):
        first, second = list(state)[:2]
        state[first] = state[first][:1]
        state["layer9.weight"] = state.pop(second)
        torch.save(state, tmp_path / "wrong.pth")
        with pytest.raises(ftrun.SpecError) as caught:
            build("test_resnet", checkpoint=tmp_path / "wrong.pth")
        message = caught.value.message
        for part in ("wrong.pth", f"1 missing ({second})", "1 not in the model (layer9.weight)", f"shape ({first})"):
            assert part in message

    def test_file_of_another_model(self, state: dict[str, Tensor], tmp_path: Path):
        torch.save(state, tmp_path / "resnet.pth")
        for model in ("test_vit", "test_convnext", "dla46x_c"):
            with pytest.raises(ftrun.SpecError, match=r"checkpoint .*resnet\.pth does not fit"):
                build(model, 64, checkpoint=tmp_path / "resnet.pth")

    def test_missing_file(self, tmp_path: Path):
        with pytest.raises(ftrun.SpecError, match=r"no weight file .*gone\.pth"):
            build("test_resnet", checkpoint=tmp_path / "gone.pth")

    def test_pickle_with_more_than_tensors_is_refused(self, tmp_path: Path):
        path = tmp_path / "evil.pth"
        path.write_bytes(pickle.dumps({"conv1.weight": print}, protocol=2))
        with pytest.raises(ftrun.SpecError, match=r"evil\.pth is a whole pickled object"):
            build("test_resnet", checkpoint=path)

    @pytest.mark.parametrize(("name", "content"), [("a.pth", b""), ("a.safetensors", b"{}"), ("a.pth", b"PK\3\4junk")])
    def test_damaged_file(self, tmp_path: Path, name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ftrun.SpecError, match=r"is empty|is JSON|is damaged"):
            build("test_resnet", checkpoint=tmp_path / name)

    def test_file_without_tensors(self, tmp_path: Path):
        torch.save({"a": 1}, tmp_path / "numbers.pth")
        with pytest.raises(ftrun.SpecError, match="no state dict"):
            build("test_resnet", checkpoint=tmp_path / "numbers.pth")


NO_NETWORK = """
import ftrun, sys
from ftrun_timm import Timm
for model in ("resnet18.a1_in1k", "tresnet_m.miil_in1k"):
    try:
        Timm(name="timm", model=model).build({})
    except ftrun.FtrunError as error:
        print(error.exit_code, error)
"""


def test_no_network(tmp_path: Path):
    nobody = "http://127.0.0.1:9"
    environment = {
        "HF_ENDPOINT": nobody,
        "HF_HOME": str(tmp_path),
        "TORCH_HOME": str(tmp_path),
        "https_proxy": nobody,
        "no_proxy": "127.0.0.1",
    }
    started = time.monotonic()
    out, errors = warm.Process(code=NO_NETWORK, **environment).communicate()
    assert time.monotonic() - started < 60  # the Hub's client alone would retry for longer, for each of the two
    first, second = out.splitlines()
    for line, name in ((first, "resnet18.a1_in1k"), (second, "tresnet_m.miil_in1k")):
        assert line.startswith(f"1 the weights of {name} could not be fetched from http")
        assert '"checkpoint": "PATH"' in line
        assert '"pretrained": false' in line
    assert "Connection refused" in first
    assert errors == ""


def test_levels():
    """A map of each resolution; of a transformer, tokens."""
    assert build("resnet18", 64).levels == ((64, 2), (64, 4), (128, 8), (256, 16), (512, 32))
    assert build("efficientnet_lite0", 64).levels[-2:] == ((112, 16), (1280, 32)), (
        "the last one is behind the last layer"
    )
    assert build("vit_tiny_patch16_224", 32).levels == ((192, None),)


@pytest.mark.parametrize(
    ("model", "family", "lr", "size"),
    [
        ("vit_small_patch14_dinov2.lvd142m", "DINOv2 and DINOv3", 1e-5, 224),
        ("vit_base_patch16_384.augreg_in1k", "a vision transformer", 5e-5, 384),
        ("swin_tiny_patch4_window7_224.ms_in1k", "Swin", 1e-4, 224),
        ("convnext_atto.d2_in1k", "ConvNeXt", 1e-4, 224),
        ("resnet18.a1_in1k", "ResNet and its like", 3e-4, 224),
        ("tf_efficientnet_lite0.in1k", "EfficientNet and MobileNet", 3e-4, 224),
        ("some_new_net", "a convolutional net", 3e-4, 224),
    ],
)
def test_a_model_s_family_says_at_what_rate_it_trains(model, family, lr, size):
    ranges = Timm(name="timm", model=model).recipe
    assert (ranges.family, ranges.lr, ranges.size, ranges.pretrained) == (family, lr, size, True)
    assert ranges.lr_range[0] < ranges.lr < ranges.lr_range[1]
    scratch = Timm(name="timm", model=model, pretrained=False).recipe
    assert not scratch.pretrained
    assert scratch.optimizer == ("adamw" if "vit" in model or "swin" in model or "convnext" in model else "sgd")
