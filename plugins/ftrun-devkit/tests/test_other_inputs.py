"""The kit tries parts for a kind of input it does not know, on made-up inputs or on a dataset that a test names."""

from dataclasses import replace
from typing import ClassVar, Literal

import pytest
import torch

import ftrun
from ftrun.devtools import Plugin
from ftrun_devkit import ContractError, checks_of


class NumbersInput(ftrun.InputSpec):
    """A list of numbers, and how many there are."""

    kind: Literal["numbers"] = "numbers"
    most: int = 9

    requirement: ClassVar = "a list of numbers"

    @property
    def collated_layout(self):
        length = ftrun.DynamicDim("length", 2, self.most)
        return {"values": ftrun.TensorLayout("float32", (length,)), "count": ftrun.TensorLayout("int64", ())}

    def accepts(self, raw):
        return isinstance(raw, list)

    def collate(self, raw):
        kept = [torch.tensor([float(each) for each in numbers[: self.most]]) for numbers in raw]
        values = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)
        return {"values": values, "count": torch.tensor([len(each) for each in kept])}

    def prepare(self, batch):
        return batch["values"]

    @property
    def prepared_layout(self):
        return self.collated_layout["values"]

    def example(self, count):
        return [[(place + 1) / (step + 1) for step in range(2 + place % 7)] for place in range(count)]


class Sums(ftrun.Net):
    def features(self, x):
        return self.model[0](x[..., None]) * (x != 0)[..., None]

    def pool(self, features):
        return features.sum(1)


class SumNet(ftrun.Backbone):
    """The sum over all numbers of what a layer makes of each."""

    name: Literal["sum-net"]
    input_type = NumbersInput

    def build(self, overrides):
        model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Linear(4, 2))
        made = NumbersInput().changed(**overrides)
        return Sums(model, input=made, num_features=4, head_path="1", stages={"first": ["0"]})


class SeesFilling(SumNet):
    """It sees what shorter lists are filled up with."""

    def build(self, overrides):
        net = super().build(overrides)
        net.features = lambda x: net.model[0](x[..., None])
        return net


class Noise(ftrun.Augmentation):
    """A little added to each number."""

    name: Literal["noise"]
    input_kinds = ("numbers",)

    def build(self):
        def add(batch, random):
            values = batch.inputs["values"]
            return replace(batch, inputs={**batch.inputs, "values": values + random.uniform()[:, None]})

        return add


class Forgetful(Noise):
    """It forgets how many there are."""

    def build(self):
        return lambda batch, random: replace(batch, inputs={"values": super(Forgetful, self).build()(batch, random)})


class Numbers(ftrun.Dataset):
    """Lists, or what else is asked for."""

    name: Literal["number-lists"]
    input_kind = "numbers"
    lists: bool = True

    def build(self):
        raw = [[number, index + 1] for index in range(24) for number in (0.5,)]
        split = Lists(raw if self.lists else list(map(tuple, raw)))
        return ftrun.Splits(train=split, targets={"label": ftrun.Classes(names=("a", "b"))})


class Lists:
    """Lists in memory."""

    in_memory = True

    def __init__(self, raw):
        self.raw = raw
        self.columns = {"label": torch.arange(len(raw)) % 2}

    def __len__(self):
        return len(self.raw)

    def __getitem__(self, index):
        return self.raw[index], {"label": self.columns["label"][index]}


def checks(*parts, **arguments):
    plugin = Plugin("ftrun-numbers", "1.0", "numbers", __name__, parts)
    return {each.property.name: each for each in checks_of(plugin, installed=[plugin], **arguments)}


NAMES = ("padding-changes-nothing", "overrides-applied", "exports", "samples-apart", "input-spec")


def test_a_backbone_is_tried_on_what_its_input_makes_up(tmp_path):
    of_net = checks(SumNet)
    for name in NAMES:
        of_net[name].run(tmp_path)
    of_net["survives-resume"].run(tmp_path)
    with pytest.raises(ContractError, match="gives something else alone than in a batch of several"):
        checks(SeesFilling)["padding-changes-nothing"].run(tmp_path)


@pytest.mark.parametrize("dataset", ["number-lists", lambda place: {"name": "number-lists"}], ids=["named", "made"])
def test_a_dataset_for_it_may_be_named(dataset, tmp_path):
    of_net = checks(SumNet, Numbers, dataset=dataset, parts=["sum-net"])["survives-resume"]
    of_net.run(tmp_path)
    assert '"name": "number-lists"' in (tmp_path / "whole/run/resolved.json").read_text()


@pytest.mark.parametrize("arguments", [{"input_type": NumbersInput}, {}], ids=["named", "of a backbone"])
def test_what_a_dataset_gives_is_held_against_the_input_of_its_kind(arguments, tmp_path):
    others = () if arguments else (SumNet,)
    kind = {"parts": ["number-lists"], **arguments}
    checks(Numbers, *others, **kind)["sample-types"].run(tmp_path)
    with pytest.raises(ContractError, match=r"the input of train\[0\] is tuple.*\n.*a list of numbers"):
        checks(Numbers, *others, options={"number-lists": {"lists": False}}, **kind)["sample-types"].run(tmp_path)


def test_an_augmentation_is_tried_on_inputs_of_its_kind(tmp_path):
    of_noise = checks(Noise, input_type=NumbersInput)
    names = ("shape-and-type", "draws-for-each-sample", "batch-does-not-matter", "same-seed-same-result")
    for name in (*names, "input-left-alone"):
        of_noise[name].run(tmp_path)
    with pytest.raises(ContractError):
        checks(Forgetful, input_type=NumbersInput)["shape-and-type"].run(tmp_path)
