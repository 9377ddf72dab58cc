"""Nets of every family of torchvision, against plain torchvision; weights, sizes and errors."""

import copy
import pickle
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

import ftrun
import ftrun_inputs
import ftrun_weights
from ftrun_torchvision import Torchvision
from ftrun_torchvision.families import net_of
from ftrun_torchvision.weights import load

SEVEN = {"label": ftrun.Classes(names=tuple("abcdefg"))}

# The smallest model of each family and the side of a small image for it.
SMALLEST = {
    "alexnet": 63,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_s": 33,
    "googlenet": 32,
    "inception_v3": 75,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "resnext50_32x4d": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
    "swin_v2_t": 32,
    "vgg11": 32,
    "vit_b_32": 64,
}


def narrow_alexnet(num_classes: int = 1000) -> nn.Module:
    """With hidden layers of 8 in place of 4,096, which hold all but 2 of its 61 M weights."""
    with torch.device("meta"):
        model = models.AlexNet(num_classes)
    model.features.to_empty(device="cpu")
    for parameter in model.features.parameters():
        nn.init.normal_(parameter, std=0.05)
    for place, sizes in ((1, (256 * 6 * 6, 8)), (4, (8, 8)), (6, (8, num_classes))):
        model.classifier[place] = nn.Linear(*sizes)
    return model


# Smaller ones than torchvision has, of the same classes: these are what `FAMILIES` goes by.
SMALLER: dict[str, Callable[..., nn.Module]] = {
    "alexnet": narrow_alexnet,
    "convnext_tiny": partial(
        models.ConvNeXt, [CNBlockConfig(8, 16, 1), CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)]
    ),
    "densenet121": partial(models.DenseNet, 4, (1, 1, 1, 1), 8),
    "swin_t": partial(models.SwinTransformer, [4, 4], 12, [1, 1, 1, 1], [1, 1, 1, 1], [7, 7]),
    "vit_b_32": partial(models.VisionTransformer, 64, 32, 3, 2, 16, 32),
}
# As large as torchvision has them, or of a class that a smaller one is of.
LARGE = (*SMALLER, "efficientnet_v2_s", "maxvit_t", "resnext50_32x4d", "swin_v2_t", "vgg11")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def build(model: str, side: int | tuple[int, int] | None = None, weights: str | None = None) -> ftrun.Net:
    overrides: dict[str, Any] = {} if side is None else {"size": side if isinstance(side, tuple) else (side, side)}
    return Torchvision(name="torchvision", model=model, weights=weights).build(overrides)


def images(net: ftrun.Net, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, *net.input.size)


@torch.no_grad()
def check_levels(net: ftrun.Net, x: Tensor) -> None:
    """The maps are from high resolution to low, and the last one is what is pooled."""
    net.eval()
    *_, last = maps = net.pyramid(x)
    assert torch.equal(last, net.features(x))
    assert [each.channels for each in net.levels] == [each.shape[1 if each.ndim == 4 else 2] for each in maps]
    assert all(before.shape[2] >= 1.5 * after.shape[2] for before, after in pairwise(maps))
    assert len(maps) >= 3 or last.ndim == 3
    net.train()


def plain(model: str, net: ftrun.Net, **arguments: Any) -> nn.Module:
    """torchvision's own model, of the net's size."""
    if model.startswith("vit"):
        arguments["image_size"] = net.input.size[0]
    if model in ("googlenet", "inception_v3"):
        arguments |= {"aux_logits": False, "init_weights": False}
    return models.get_model(model, weights=None, **arguments)


def with_version(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """torchvision's MNASNet wants to be told the version of a state dict, which a safetensors file does not hold."""
    versioned = OrderedDict(state)
    versioned._metadata = {"": {"version": 2}}
    return versioned


def test_every_model_of_torchvision_belongs_to_a_family_that_is_tested():
    def module(name: str) -> str:
        return models.get_model_builder(name).__module__

    assert {module(name) for name in models.list_models(module=models)} == {module(name) for name in SMALLEST}


@pytest.mark.parametrize("model", SMALLER)
def test_the_class_of_a_family(model: str, tmp_path: Path):
    side = SMALLEST[model]
    net = net_of(SMALLER[model](), ftrun_inputs.ImageInput(size=(side, side)))
    runs_as_the_library_does(model, net, SMALLER[model], tmp_path / "net.safetensors")


@pytest.mark.parametrize("model", [pytest.param(each, marks=[pytest.mark.slow] * (each in LARGE)) for each in SMALLEST])
def test_family(model: str, tmp_path: Path):
    net = build(model, SMALLEST[model])
    runs_as_the_library_does(model, net, partial(plain, model, net), tmp_path / "net.safetensors")


def runs_as_the_library_does(model: str, net: ftrun.Net, library_s: Callable[..., nn.Module], file: Path) -> None:
    """In each step, to the stages' parameters and gradients, and from a file of its weights."""
    net.set_targets(SEVEN)
    x = images(net)[: 1 if model == "maxvit_t" else 2]

    features = net.features(x)
    assert features.ndim == (3 if model.startswith("vit") else 4)
    check_levels(net, x)
    assert net.embed(x).shape[:2] == (len(x), net.num_features)
    output = net(x)["label"]
    assert output.shape == (len(x), 7)

    output.square().sum().backward()
    stages = net.stages
    assert sorted(sum(stages.values(), ())) == sorted(name for name, _ in net.weights.named_parameters())
    assert next(iter(stages)) == "stem"
    assert [*stages][-1] == "head"
    assert len(stages) >= 5
    for stage in ("stem", "head"):
        grads = [net.get_parameter(name).grad for name in stages[stage]]
        assert all(grad is not None and grad.isfinite().all() for grad in grads)

    save_file(net.model.state_dict(), file)
    state = load_file(file)
    with torch.device("cpu" if model.startswith("regnet") else "meta"):  # its builder computes with tensors
        library = library_s(num_classes=7)
    library.load_state_dict(with_version(state) if model.startswith("mnasnet") else state, assign=True)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x)["label"], library.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["resnet18", "densenet121", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_pool_layers_say_all_that_pool_does(model: str):
    net = build(model, SMALLEST[model]).eval()
    with torch.no_grad():
        x = features = net.features(images(net))
        for path in net.pool_layers:
            layer = net.model.get_submodule(path)
            x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
        torch.testing.assert_close(x.flatten(1), net.pool(features))


@pytest.mark.parametrize("model", ["resnet18", "squeezenet1_1", "mnasnet0_5"])
def test_copies_are_independent_and_equal(model: str):
    net = build(model, 32).eval()
    x = images(net)
    with torch.no_grad():
        twin = copy.deepcopy(net)
        expected = net.head(net.embed(x))
        net.get_parameter(net.stages["stem"][0]).zero_()
        assert torch.equal(twin.head(twin.embed(x)), expected)
        assert not torch.equal(net.head(net.embed(x)), expected)


def test_several_targets():
    net = build("squeezenet1_1", 32)
    net.set_targets({**SEVEN, "age": ftrun.Values()})
    assert {name: tuple(out.shape) for name, out in net(images(net)).items()} == {"label": (2, 7), "age": (2, 1)}


def test_stages_group_layers_between_blocks_and_poolings():
    assert [*build("resnet18", 32).stages] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    names = ["stem", "features.3", "features.6", "features.11", "features.16", "classifier.0", "head"]
    with torch.device("meta"):
        vgg = net_of(models.vgg11(weights=None), ftrun_inputs.ImageInput(size=(32, 32)))
    assert [*vgg.stages] == names
    last = build("densenet121", 32).stages["features.denseblock4"]
    assert "model.features.norm5.weight" in last  # a norm belongs to the block before it


class TestInput:
    def test_is_that_of_the_weights(self):
        given = build("efficientnet_b0").input
        assert (given.size, given.crop, given.interpolation) == ((224, 224), 224 / 256, "bicubic")
        assert given.mean == (0.485, 0.456, 0.406)

    def test_inception_normalises_in_the_input(self):
        """What torchvision does inside the model with `transform_input`, from its usual normalisation."""
        given = build("googlenet").input
        photo = torch.randint(256, (1, 3, 224, 224), dtype=torch.uint8)
        usual = given.changed(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).prepare(photo)
        library = models.googlenet(weights=None, transform_input=True, aux_logits=False, init_weights=False)
        torch.testing.assert_close(given.prepare(photo), library._transform_input(usual))

    def test_spec_changes_it(self):
        given = build("resnet18", (32, 64)).input
        assert (given.size, given.crop) == ((32, 64), 1.0)

    @pytest.mark.parametrize(
        ("model", "side", "takes"),
        [
            ("inception_v3", 74, "from 75"),
            ("vgg11", 31, "from 32"),
            ("swin_t", 16, "from 32"),
            ("vit_b_16", 100, "multiple of 16"),
            ("vit_b_16", (32, 64), "squares"),
            ("maxvit_t", 192, "multiples of 224"),
        ],
    )
    def test_sizes_that_do_not_fit(self, model: str, side: int | tuple[int, int], takes: str):
        with pytest.raises(ftrun.SpecError, match=f"{model} does not take images of .*{takes}"):
            build(model, side)


def test_mean_and_std_of_one_channel_are_named_as_such():
    part = Torchvision(name="torchvision", model="resnet18", weights=None)
    with pytest.raises(ftrun.SpecError, match="takes images of 3 channels, but mean and std have 1 value") as caught:
        part.build({"mean": (0.5,), "std": (0.5,)})
    assert caught.value.where == "input"


class TestWeights:
    @pytest.fixture
    def state(self) -> dict[str, Tensor]:
        return models.resnet18(weights=None).state_dict()

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    @pytest.mark.parametrize("nested", [False, True])
    def test_file(self, state: dict[str, Tensor], tmp_path: Path, suffix: str, nested: bool):
        path = tmp_path / f"weights{suffix}"
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"model": state, "epoch": 3} if nested else state, path)
        net = build("resnet18", weights=str(path))
        assert net.model.state_dict().keys() == state.keys()
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.model.state_dict().items())
        assert net.input.size == (224, 224)

    def test_head_for_other_classes_is_left_out(self, tmp_path: Path):
        state = models.resnet18(weights=None, num_classes=3).state_dict()
        torch.save(state, tmp_path / "three.pth")
        net = build("resnet18", weights=str(tmp_path / "three.pth"))
        assert net.head.weight.shape == (1000, 512)
        assert torch.equal(net.model.conv1.weight, state["conv1.weight"])

    def test_file_that_does_not_fit(self, state: dict[str, Tensor], tmp_path: Path):
        state["conv1.weight"] = state["conv1.weight"][:, :1]
        state["layer9.weight"] = state.pop("layer1.0.conv1.weight")
        torch.save(state, tmp_path / "wrong.pth")
        with pytest.raises(ftrun.SpecError) as caught:
            build("resnet18", weights=str(tmp_path / "wrong.pth"))
        for part in ("1 missing (layer1.0.conv1.weight)", "1 not in the model (layer9.weight)", "1 of another shape"):
            assert part in caught.value.message

    def test_pickle_with_more_than_tensors_is_refused(self, tmp_path: Path):
        path = tmp_path / "evil.pth"
        path.write_bytes(pickle.dumps({"conv1.weight": print}, protocol=2))
        with pytest.raises(ftrun.SpecError, match=r"evil\.pth is a whole pickled object"):
            build("resnet18", weights=str(path))

    @pytest.mark.parametrize(("name", "content"), [("a.pth", b""), ("a.safetensors", b"{}"), ("a.pth", b"PK\3\4junk")])
    def test_damaged_file(self, tmp_path: Path, name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ftrun.SpecError, match="weight file"):
            build("resnet18", weights=str(tmp_path / name))

    def test_file_without_tensors(self, tmp_path: Path):
        torch.save([1, 2], tmp_path / "list.pth")
        with pytest.raises(ftrun.SpecError, match="no state dict"):
            build("resnet18", weights=str(tmp_path / "list.pth"))

    def test_no_such_file_or_name(self, tmp_path: Path):
        with pytest.raises(ftrun.SpecError, match=r"no weight file .*gone\.pth"):
            build("resnet18", weights=str(tmp_path / "gone.pth"))
        with pytest.raises(ftrun.SpecError, match=r"Did you mean 'IMAGENET1K_V1'\?.*DEFAULT"):
            build("resnet18", weights="IMAGENET1K_V3")

    def test_vgg_features_only_are_not_offered(self):
        with pytest.raises(ftrun.SpecError, match="no weights 'IMAGENET1K_FEATURES'"):
            build("vgg16", weights="IMAGENET1K_FEATURES")

    def test_published_densenet_has_older_names(self):
        net = build("densenet121", 32)
        state = {name.replace(".norm1.", ".norm.1."): tensor for name, tensor in net.model.state_dict().items()}
        old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
        assert any(".norm.1." in name for name in old)
        old["features.conv0.weight"] = torch.ones_like(old["features.conv0.weight"])
        load(net, old, "the published file")
        assert net.model.features.conv0.weight.eq(1).all()

    def test_published_googlenet_has_auxiliary_classifiers(self):
        full = models.googlenet(weights=None, aux_logits=True, init_weights=False).state_dict()
        net = build("googlenet", 32)
        load(net, full, "the published file")
        assert torch.equal(net.model.fc.weight, full["fc.weight"])

    def test_position_embeddings_are_interpolated(self):
        def tiny(side: int) -> ftrun.Net:
            model = models.VisionTransformer(
                image_size=side, patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8
            )
            return net_of(model, ftrun_inputs.ImageInput(size=(side, side)))

        small, large = tiny(16), tiny(32)
        state = small.model.state_dict()
        corner = state["encoder.pos_embedding"][:, 1].clone()
        load(large, state, "a file")
        embedding = large.model.encoder.pos_embedding
        assert embedding.shape == (1, 17, 8)
        torch.testing.assert_close(embedding[:, 1], corner)
        assert large.head(large.embed(images(large))).shape == (2, 1000)

    def test_mnasnet_takes_weights_from_safetensors(self, tmp_path: Path):
        net = build("mnasnet0_5", 32)
        save_file(net.model.state_dict(), tmp_path / "net.safetensors")
        other = build("mnasnet0_5", 32)
        other.model.load_state_dict(ftrun_weights.read_weights(tmp_path / "net.safetensors").tensors)
        assert torch.equal(other.head.weight, net.head.weight)

    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
        monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxy of its first use
        with pytest.raises(ftrun.FtrunError) as caught:
            build("resnet18", weights="DEFAULT")
        assert caught.value.exit_code == 1
        folder = tmp_path / "hub" / "checkpoints"
        for part in ("resnet18-f37072fd.pth", str(folder), '"weights": "PATH"', "Connection refused"):
            assert part in caught.value.message
        assert capsys.readouterr().out == ""

    def test_cached_file_is_taken_without_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        state = models.squeezenet1_1(weights=None).state_dict()
        torch.save(state, folder / "squeezenet1_1-b8a52dc0.pth")
        net = build("squeezenet1_1", weights="IMAGENET1K_V1")
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.model.state_dict().items())


def test_unknown_model():
    with pytest.raises(ftrun.SpecError, match=r"no classification model 'resnet19'\. Did you mean 'resnet18'\?"):
        build("resnet19")
    with pytest.raises(ftrun.SpecError, match="no classification model 'fcn_resnet50'"):
        build("fcn_resnet50")


def test_a_model_s_family_says_at_what_rate_it_trains():
    def ranges(model, **options):
        return Torchvision(name="torchvision", model=model, **options).recipe

    assert ranges("resnet18").family == "ResNet and its like"
    assert ranges("vit_b_16").lr < ranges("convnext_tiny").lr < ranges("efficientnet_b0").lr
    scratch = ranges("resnet18", weights=None)
    assert (scratch.optimizer, scratch.lr, scratch.pretrained) == ("sgd", 0.05, False)
    assert ranges("vit_b_16", weights=None).optimizer == "adamw"
