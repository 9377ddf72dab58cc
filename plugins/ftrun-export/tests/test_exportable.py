"""What an exporter is given, and what its file is judged by."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

import ftrun
import ftrun_inputs
from ftrun.contracts.data import Batch
from ftrun.contracts.errors import FtrunError
from ftrun_devkit.tinynet import tiny_net
from ftrun_export import Exportable
from ftrun_export.kinds import answers_of
from ftrun_export.parity import Parity, in_sizes
from ftrun_export.quantized import quality

CLASSES = ftrun.Classes(names=("a", "b", "c"))
LABELS = ftrun.Labels(names=("a", "b"))
VALUES = ftrun.Values(names=("u", "v"))
SCALED = ftrun.Values(names=("u", "v"), mean=(0.0, 0.0), std=(1000.0, 1.0))


def exportable(**targets: ftrun.Target) -> Exportable:
    net = tiny_net(4, 0.0, ftrun_inputs.ImageInput(size=(8, 8), mean=(0.1, 0.2, 0.3)))
    net.set_targets(targets)
    return Exportable(net.eval().requires_grad_(False))


def test_exporting_leaves_no_stand_in_where_images_are_prepared():
    """torch.export runs the code with tensors that are none; nothing may keep one."""
    model = exportable(label=CLASSES)
    program = model.program
    prepared = model.net.input.prepare(model.example)
    assert type(prepared) is torch.Tensor
    assert torch.equal(program.module()(model.example)["label"], model.module(model.example)["label"])


def test_the_module_gives_scores_by_target():
    model = exportable(one=CLASSES, two=LABELS, three=VALUES)
    output = model.net(model.net.input.prepare(model.example))
    found = model.module(model.example)
    assert torch.equal(found["one"], output["one"].softmax(1))
    assert torch.equal(found["two"], output["two"].sigmoid())
    assert torch.equal(found["three"], output["three"])
    assert model.output_names == ("one", "two", "three")


def test_a_target_called_as_the_input_is():
    assert exportable(label=CLASSES).input_names == ("image",)
    assert exportable(image=CLASSES).input_names == ("image_input",)


class Words(ftrun.InputSpec):
    """Numbers of words, padded with 0 to the longest of a batch: int64 [B, T]."""

    kind: Literal["words"] = "words"

    def collate(self, raw):
        return torch.nn.utils.rnn.pad_sequence(raw, batch_first=True)

    def prepare(self, batch):
        return batch

    def example(self, count):
        return [torch.arange(2 + 2 * sample % 5) for sample in range(count)]

    @property
    def collated_layout(self):
        return ftrun.TensorLayout("int64", (ftrun.DynamicDim("length", 1, 8),))


class Bag(ftrun.Net):
    """The mean of the words' vectors."""

    def features(self, x):
        return self.model[0](x)

    def pool(self, features):
        return features.mean(1)


class BagOfOneLength(Bag):
    """The same, exported at one length."""

    static_dims = ("length",)


@pytest.mark.parametrize(
    ("kind", "free", "shapes"),
    [(Bag, {0: "batch", 1: "length"}, [(1, 1), (3, 7), (5, 2)]), (BagOfOneLength, {0: "batch"}, [(1, 8), (3, 8)])],
)
def test_inputs_of_different_lengths(kind, free, shapes):
    """Texts are padded to the longest of their batch, or to the greatest length where the net takes only one."""
    model = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))
    net = kind(model, input=Words(), num_features=4, head_path="1", stages={"words": ["0"]})
    net.set_targets({"label": CLASSES})
    some = Exportable(net.eval().requires_grad_(False))
    assert (some.free, some.input_names) == (free, ("words",))
    assert exportable(label=CLASSES).free == {0: "batch"}
    for shape in shapes:
        batch = some.ready(torch.ones((shape[0], min(shape[1], 5)), dtype=torch.int64))
        batch = batch if len(free) == 1 else torch.ones(shape, dtype=torch.int64)
        assert batch.shape == shape
        assert torch.allclose(some.program.module()(batch)["label"], some.module(batch)["label"])


def test_a_net_that_torch_export_does_not_take():
    model = exportable(label=CLASSES)
    model.net.forward = lambda x: model.net.head(x.mean((2, 3)) if x.sum() > 0 else x)
    with pytest.raises(FtrunError, match=r"torch\.export does not take this net: "):
        model.program  # noqa: B018


def compared(target: ftrun.Target, expected: list[list[float]], given: list[list[float]]) -> Parity:
    parity = Parity(1e-4, {"t": target})
    parity.add(torch.arange(len(expected)) + 10, {"t": torch.tensor(expected)}, {"t": torch.tensor(given)})
    return parity


@pytest.mark.parametrize(
    ("target", "expected", "given", "holds", "same"),
    [
        (CLASSES, [[0.6, 0.3, 0.1]], [[0.60005, 0.29995, 0.1]], True, 1),
        (CLASSES, [[0.6, 0.3, 0.1]], [[0.601, 0.299, 0.1]], False, 1),
        (CLASSES, [[0.4, 0.39, 0.21]], [[0.39, 0.4, 0.21]], False, 0),
        (CLASSES, [[0.40005, 0.39995, 0.2]], [[0.39999, 0.40001, 0.2]], True, 1),  # a tie within the bound
        (CLASSES, [[0.6, 0.3, 0.1]], [[float("nan")] * 3], False, 1),
        (LABELS, [[0.7, 0.2]], [[0.70001, 0.2]], True, 1),
        (LABELS, [[0.7, 0.49]], [[0.7, 0.51]], False, 0),
        (LABELS, [[0.7, 0.49999]], [[0.7, 0.50001]], True, 1),
        (SCALED, [[1000.0, 0.0]], [[1000.05, 0.00005]], True, None),
        (SCALED, [[1000.0, 0.0]], [[1000.0, 0.001]], False, None),
        (SCALED, [[1000.0, 0.0]], [[float("inf"), 0.0]], False, None),
    ],
)
def test_what_is_the_same(target, expected, given, holds, same):
    parity = compared(target, expected, given)
    assert parity.holds == holds
    assert parity.agreements["t"].same == same


def test_the_worst_sample_is_told_and_the_sizes_of_batches():
    parity = compared(CLASSES, [[1.0, 0, 0]] * 3, [[1.0, 0, 0], [0.9, 0.1, 0], [1.0, 0, 0]])
    parity.add(torch.arange(2), {"t": torch.ones(2, 3)}, {"t": torch.ones(2, 3)})
    listed = parity.as_json()
    assert listed["targets"]["t"]["worst_sample"] == 11
    assert listed["targets"]["t"]["max_difference"] == pytest.approx(0.1)
    assert (listed["samples"], listed["batches"]) == (5, [3, 2])


@pytest.mark.parametrize("given", [{}, {"t": torch.ones(1, 2)}, {"t": torch.ones(2, 3)}])
def test_no_answer_is_an_error(given):
    with pytest.raises(FtrunError, match="for target 't', where "):
        Parity(1e-4, {"t": CLASSES}).add(torch.arange(1), {"t": torch.ones(1, 3)}, given)


@pytest.mark.parametrize(
    ("sizes", "parts"), [([8, 8, 2], [1, 3, 4, 8, 2]), ([4], [1, 3]), ([2], [1, 1]), ([1], [1]), ([], [])]
)
def test_batches_of_several_sizes(sizes, parts):
    batches = [Batch(torch.zeros(size, 3, 8, 8), {}, torch.arange(size)) for size in sizes]
    assert [len(each) for each in in_sizes(batches)] == parts


def test_the_figure_that_8_bits_are_judged_by():
    assert quality(CLASSES, torch.eye(3), torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    assert quality(LABELS, torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[1.0, 0], [1, 1]])) == 0.75
    truth = torch.tensor([[1.0, 10], [2, 20], [3, 30]])
    assert quality(VALUES, truth, truth) == 1
    assert quality(VALUES, truth.mean(0).expand(3, 2), truth) == pytest.approx(0)


def test_int8_is_judged_by_what_is_known():
    nan = float("nan")
    scores = torch.tensor([[0.1, 0.2, 0.7], [0.9, 0.1, 0.0], [0.2, 0.5, 0.3]])
    assert quality(CLASSES, scores, torch.tensor([2, -1, 0])) == 0.5
    labels = torch.tensor([[1.0, nan], [nan, nan], [1.0, 1.0]])
    assert quality(ftrun.Labels(names=("p", "q")), scores[:, 1:], labels) == pytest.approx(1 / 3)
    values = torch.tensor([[1.0, nan], [3.0, 2.0], [nan, 4.0], [nan, nan]]).double()
    assert quality(ftrun.Values(names=("x", "y")), values.nan_to_num(7.0), values) == 1.0
    assert math.isnan(quality(CLASSES, scores, torch.tensor([-1, -1, -1])))


def test_exported_values_are_compared_in_their_deviations():
    target = ftrun.Values(mean=(1e9,), std=(2.0,))
    expected = torch.tensor([[1e9], [1e9 + 100]], dtype=torch.float64)
    assert answers_of(target).difference(target, expected, expected + 1).flatten().tolist() == [0.5, 0.01]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)


class Branching(ftrun.Net):
    """Its pooling depends on its values."""

    def features(self, x):
        return x

    def pool(self, features):
        return features.mean((2, 3)) if features.sum().item() > 0 else features.amax((2, 3))


class Paired(Branching):
    """It takes an even number of samples."""

    def pool(self, features):
        return features.reshape(len(features) // 2, 2, 3, -1).mean(3).reshape(-1, 3)


@pytest.mark.parametrize(
    ("kind", "first", "others"),
    [
        (Branching, "Could not guard on data-dependent expression", ["guard_or_false", "Caused by"]),
        (Paired, "Constraints violated (batch)!", ["Suggested fixes:", "batch = 2"]),
    ],
)
def test_what_torch_export_suggests_is_kept(kind, first, others, capfd):
    net = kind(Model(), input=ftrun_inputs.ImageInput(size=(4, 4)), num_features=3, head_path="fc", stages={})
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    with pytest.raises(ftrun.FtrunError) as caught:
        _ = Exportable(net.eval()).program
    message, *lines = str(caught.value).splitlines()
    assert message.startswith("torch.export does not take this net: ")
    assert first in message
    for each in others:
        assert any(each in line for line in lines)
    assert not any("TORCH_LOGS" in line or line.lstrip().startswith('File "') for line in lines)
    assert all(line.startswith("  ") for line in lines)
    assert "def forward" not in capfd.readouterr().err
