"""The plugin keeps ftrun's contract, and its files are what others expect of ONNX."""

import json
from typing import Literal

import onnx
import onnxruntime
import pytest
import quickonnx  # noqa: F401
import torch

import ftrun
import ftrun_inputs
from ftrun_devkit import check_plugin
from ftrun_devkit.tinynet import tiny_net
from ftrun_export import Exportable
from ftrun_onnx import Onnx
from ftrun_onnx.quantizing import quantize

test_contract = check_plugin("ftrun_onnx")


def model(width=8, **targets):
    torch.manual_seed(0)
    net = tiny_net(width, 0.0, ftrun_inputs.ImageInput(size=(8, 8)))
    net.set_targets(targets)
    metadata = {"input": net.input.model_dump_json(), "run": "some run"}
    return Exportable(net.eval().requires_grad_(False), metadata=metadata)


LABEL = ftrun.Classes(names=("a", "b", "c"))


@pytest.mark.parametrize("opset", [18, pytest.param(20, marks=pytest.mark.slow), 23])  # the least and the greatest
def test_a_file_of_the_opset_that_is_asked_for(opset, tmp_path):
    file = tmp_path / "net.onnx"
    details = Onnx(name="onnx", opset=opset).build().write(model(label=LABEL), file)
    made = onnx.load(file)
    onnx.checker.check_model(made, full_check=True)
    assert [each.version for each in made.opset_import if not each.domain] == [opset] == [details["opset"]]
    assert {each.key: each.value for each in made.metadata_props}["run"] == "some run"
    (takes,) = made.graph.input
    dimensions = [each.dim_param or each.dim_value for each in takes.type.tensor_type.shape.dim]
    assert (takes.name, dimensions) == ("image", ["batch", 3, 8, 8])
    assert takes.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    about = onnxruntime.InferenceSession(file).get_modelmeta()  # as ONNX Runtime reads it
    assert json.loads(about.custom_metadata_map["input"])["size"] == [8, 8]
    assert about.producer_name == "ftrun"


def test_targets_with_the_names_of_values_inside(tmp_path):
    """The exporter of torch names values as operators are called: without care, one output would stand for another."""
    names = ("relu", "mean", "linear", "softmax", "image", "batch", "val_0")
    some = model(**dict.fromkeys(names, LABEL))
    writer = Onnx(name="onnx").build()
    writer.write(some, tmp_path / "net.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"), full_check=True)
    found, expected = writer.open(some, tmp_path / "net.onnx")(some.example), some.module(some.example)
    for name in names:
        assert torch.allclose(found[name], expected[name], atol=1e-6), name


def test_8_bits_keep_the_first_and_the_last_steps_in_floats(tmp_path):
    some = model(64, label=LABEL)
    writer = Onnx(name="onnx", calibration=8).build()
    writer.write(some, tmp_path / "net.onnx")
    asked = []
    writer.quantize(
        some, tmp_path / "net.onnx", tmp_path / "int8.onnx", lambda count: asked.append(count) or [some.example]
    )
    assert asked == [8]
    made = onnx.load(tmp_path / "int8.onnx")
    assert [each.domain for each in made.opset_import] == [""], "any runtime of ONNX knows its operators"
    assert {each.key: each.value for each in made.metadata_props}["run"] == "some run"
    graph = made.graph
    quantized = {name for node in graph.node if node.op_type == "QuantizeLinear" for name in node.output}
    takes = {node.op_type: set(node.input) for node in graph.node}
    assert takes["Conv"] & {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    assert not (takes["Softmax"] | takes["Cast"]) & quantized
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "net.onnx"]


class Scaled(ftrun_inputs.ImageInput):
    """Images, and by how much each is brightened once it is smoothed."""

    kind: Literal["scaled"] = "scaled"

    def collate(self, raw):
        return {"pixels": super().collate(raw), "scale": torch.arange(len(raw)) / 4 + 1}

    @property
    def collated_layout(self):
        return {"pixels": super().collated_layout, "scale": ftrun.TensorLayout("float32", ())}

    def preparation(self):
        return Smoothing()


class Smoothing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", torch.ones(3, 1, 3, 3) / 9)

    def forward(self, batch):
        smooth = torch.nn.functional.conv2d(batch["pixels"] / 255, self.filters, padding=1, groups=3)
        return smooth * batch["scale"][:, None, None, None]


def test_several_inputs_whose_preparation_stays_in_floats(tmp_path):
    torch.manual_seed(0)
    net = tiny_net(64, 0.0, Scaled(size=(8, 8)))
    net.set_targets({"scale": LABEL})
    some = Exportable(net.eval().requires_grad_(False))
    assert some.input_names == ("pixels", "scale_input"), "a target has the name of the other"
    writer = Onnx(name="onnx", calibration=8).build()
    writer.write(some, tmp_path / "net.onnx")
    writer.quantize(some, tmp_path / "net.onnx", tmp_path / "int8.onnx", lambda count: [some.made_up(8)])
    x = some.made_up(5)
    for file, bound in (("net.onnx", 1e-5), ("int8.onnx", 0.1)):
        assert torch.allclose(writer.open(some, tmp_path / file)(x)["scale"], some.module(x)["scale"], atol=bound)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    restored = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    first, second = (node for node in graph.node if node.op_type == "Conv")
    assert not set(first.input) & restored, "it smooths the images"
    assert set(second.input) & restored
    names = {"FILE": str(tmp_path / "net.onnx"), "TARGETS": ["scale"]}
    imports, code = writer.code(some)
    exec(f"{imports}\n{code}", names)
    arrays = {name: each.numpy() for name, each in x.items()}
    assert torch.allclose(torch.tensor(names["compute"](arrays)["scale"]), some.module(x)["scale"], atol=1e-5)


def test_a_net_that_onnx_cannot_say(tmp_path):
    some = model(label=LABEL)
    some.net.forward = lambda x: {"label": torch.linalg.eigvals(x[:, 0].double()).real.float()[:, :3]}
    with pytest.raises(ftrun.FtrunError, match="this net cannot be written as ONNX: "):
        Onnx(name="onnx").build().write(some, tmp_path / "net.onnx")


def test_eight_bits_of_a_net_that_symbolic_shape_inference_does_not_take(tmp_path):
    """SplitToSequence ends there in an AttributeError of its own; ONNX Runtime computes it all the same."""
    weight = onnx.numpy_helper.from_array(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)).numpy(), "w")
    nodes = [
        onnx.helper.make_node("SplitToSequence", ["x"], ["parts"], axis=1),
        onnx.helper.make_node("ConcatFromSequence", ["parts"], ["same"], axis=1),
        onnx.helper.make_node("MatMul", ["same", "w"], ["y"]),
    ]
    ends = [onnx.helper.make_tensor_value_info(*each) for each in (("x", 1, ["b", 8]), ("y", 1, ["b", 4]))]
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "net.onnx")
    batches = [{"x": torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))} for seed in range(3)]
    into = tmp_path / "net8.onnx"
    quantize(tmp_path / "net.onnx", into, batches, per_channel=False, reduce_range=True)  # no sum saturates
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(into).graph.node)
    before, after = (
        torch.from_numpy(onnxruntime.InferenceSession(file).run(None, {"x": batches[0]["x"].numpy()})[0])
        for file in (tmp_path / "net.onnx", into)
    )
    assert (before - after).abs().max() < 0.1 * before.abs().max()


def test_what_fails_in_eight_bits_is_one_message(tmp_path):
    Onnx(name="onnx").build().write(model(label=LABEL), tmp_path / "net.onnx")
    wrong = [{"image": torch.zeros(1, 5, dtype=torch.uint8)}]
    with pytest.raises(ftrun.FtrunError, match="ONNX Runtime does not write this net in 8-bit integers: "):
        quantize(tmp_path / "net.onnx", tmp_path / "n8.onnx", wrong, per_channel=False, reduce_range=False)
