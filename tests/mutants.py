"""A deliberately wrong part for each property of the contract: each is a right one with one fault.

Importing this module loads torch, which is the first fault, of all of them.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field, field_serializer
from torch import nn

import ftrun
import ftrun_inputs
from ftrun_devkit import tiny
from ftrun_devkit.scaffold.templates import (
    augmentation,
    exporter,
    head,
    hub,
    loss,
    metric,
    modifier,
    objective,
    observer,
    optimizer,
    recipe,
    sampler,
    scheduler,
    target,
)
from ftrun_devkit.tinynet import tiny_net
from ftrun_export.exportable import Deployed

RIGHT: Mapping[str, type[ftrun.Part]] = {
    "dataset": tiny.TinyImages,
    "target": target.Template,
    "backbone": tiny.TinyNet,
    "modifier": modifier.Template,
    "head": head.Template,
    "augmentation": augmentation.Template,
    "loss": loss.Template,
    "objective": objective.Template,
    "optimizer": optimizer.Template,
    "sampler": sampler.Template,
    "scheduler": scheduler.Template,
    "metric": metric.Template,
    "recipe": recipe.Template,
    "observer": observer.Template,
    "exporter": exporter.Template,
    "hub": hub.Template,
}
RIGHT_ON_TEXTS: list[type[ftrun.Part]] = [tiny.TinyTexts, tiny.TinyTextNet]
MUTANTS: list[tuple[str, str, type[ftrun.Part]]] = []
"""Role, the property that is broken, the part."""


class Unsupervised(ftrun.Objective):
    """Embeddings that are spread out, without any loss."""

    name: Literal["unsupervised"]
    uses_losses = False

    def build(self, net: ftrun.Net, losses: Any) -> ftrun.ObjectiveModule:
        assert losses is None

        class Module(ftrun.ObjectiveModule):
            def forward(self, net: ftrun.Net, batch: ftrun.Batch, at: Any) -> ftrun.Terms:
                return ftrun.Terms((net.embed(batch.inputs).float().mean(0) - 1).square().mean())

        return Module()


def breaks(name: str) -> Any:
    """Note the part as a mutant that breaks this property."""

    def mark(part: type[ftrun.Part]) -> type[ftrun.Part]:
        MUTANTS.append((part.role, name, part))
        return part

    return mark


# Every part


@breaks("import-light")
class Heavy(scheduler.Template):
    """This module loads torch."""


@breaks("lower-case-name")
class Capital(scheduler.Template):
    """Named in capitals."""

    name: Literal["Template"]  # type: ignore[assignment]


@breaks("docstring")
class Silent(scheduler.Template):
    __doc__ = None


@breaks("options-described")
class Undescribed(scheduler.Template):
    """An option that nobody explains."""

    warmup: float = 0.1


@breaks("options-round-trip")
class Rounded(scheduler.Template):
    """Forgets what it was told on the way to JSON."""

    warmup: float = Field(0.1, description="Part of the run.")

    @field_serializer("warmup")
    def _rounded(self, value: float) -> float:
        return round(value)


@breaks("extra-keys-refused")
class Lenient(scheduler.Template):
    """Takes any option."""

    model_config = ConfigDict(extra="ignore", frozen=True)


@breaks("defaults-build")
class Demanding(scheduler.Template):
    """Has no default."""

    warmup: float = Field(description="Part of the run.")


@breaks("defaults-build")
class Nothing(scheduler.Template):
    """Builds nothing."""

    def build(self) -> Any:
        return None


@breaks("defaults-build")
class Raising(scheduler.Template):
    """Raises."""

    def build(self) -> Any:
        raise RuntimeError("out of order")


# Targets


@breaks("values-fit")
class TooFar(target.Template):
    """Makes up what it refuses."""

    def made_up(self) -> Any:
        outputs, values = super().made_up()
        return outputs, values / 0


@breaks("values-fit")
class MakesUpNothing(target.Template):
    """Has nothing that losses and metrics could be tried on."""

    def made_up(self) -> Any:
        return None


@breaks("samples-apart")
class Together(target.Template):
    """Only the first half of a batch has a value."""

    def present(self, values: Any) -> Any:
        return torch.arange(len(values)) < len(values) // 2


@breaks("predictions-are-json")
class Tensors(target.Template):
    """Predicts tensors."""

    def predictions(self, decoded: Any, *, top: int = 1) -> list[ftrun.Prediction]:
        return [ftrun.Prediction(each) for each in decoded]


@breaks("predictions-are-json")
class OneForAll(target.Template):
    """Predicts one thing for a whole batch."""

    def predictions(self, decoded: Any, *, top: int = 1) -> list[ftrun.Prediction]:
        return super().predictions(decoded.mean(0, keepdim=True))


@breaks("kept-of-each-sample")
class Summed(target.Template):
    """Keeps one number for all samples."""

    def pack(self, decoded: Any, values: Any) -> Any:
        return decoded.sum(), values


# Datasets


class _Wrong(tiny.TinyImages):
    name: Literal["tiny-images"]

    def changed(self, **splits: Any) -> ftrun.Splits:
        return replace(super().build(), **splits)

    def images(self, count: int = 12, seed: int = 9) -> ftrun.TensorSplit:
        return self._split(count, seed)


@breaks("picklable")
class LocalSplit(_Wrong):
    """Splits of a class that exists only in build()."""

    def build(self) -> ftrun.Splits:
        class Here(ftrun.TensorSplit):
            pass

        one = self.images()
        return self.changed(val=Here(one.inputs, one.columns))


class _Short(ftrun.TensorSplit):
    def __len__(self) -> int:
        return super().__len__() - 1


@breaks("lengths")
class ShortSplit(_Wrong):
    """A split that says it is shorter than its targets."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=_Short(one.inputs, one.columns))


@breaks("classes-aligned")
class OtherLabels(_Wrong):
    """Labels of val that count from another place."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=ftrun.TensorSplit(one.inputs, {"label": one.columns["label"] + 1}))


@breaks("classes-aligned")
class OtherTargets(_Wrong):
    """A split with another target."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=ftrun.TensorSplit(one.inputs, {"class": one.columns["label"]}))


@breaks("sample-types")
class FloatImages(_Wrong):
    """Images that are scaled already."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=ftrun.TensorSplit(one.inputs / 255, one.columns))


@breaks("sample-types")
class ChannelsLast(_Wrong):
    """Images [H, W, C]."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=ftrun.TensorSplit(one.inputs.movedim(1, 3), one.columns))


class _Unordered(ftrun.TensorSplit):
    def __getitems__(self, indices: Any) -> Any:
        return super().__getitems__(sorted(indices))


@breaks("batches-equal-samples")
class SortedBatches(_Wrong):
    """Batches in another order than asked for."""

    def build(self) -> ftrun.Splits:
        one = self.images()
        return self.changed(val=_Unordered(one.inputs, one.columns))


@breaks("no-overlap")
class Leaking(_Wrong):
    """The test split is the first part of train."""

    def build(self) -> ftrun.Splits:
        return self.changed(test=ftrun.Subset(super().build().train, torch.arange(12)))


@breaks("same-order-twice")
class Shuffled(_Wrong):
    """In another order each time."""

    def build(self) -> ftrun.Splits:
        return self.changed(train=ftrun.Subset(super().build().train, torch.tensor(random.sample(range(48), 48))))


class _TextsOnly(tiny.TinyTexts):
    name: Literal["tiny-texts"]


@breaks("sample-types")
class Encoded(_TextsOnly):
    """Texts as bytes."""

    def build(self) -> ftrun.Splits:
        val = tiny.TinyTextSplit(12, 1)
        val.texts = [text.encode() for text in val.texts]
        return replace(super().build(), val=val)


class _Neighbours(tiny.TinyTextSplit):
    def __getitems__(self, indices: Any) -> Any:
        return [self.texts[index - 1] for index in indices], {"label": self.columns["label"][torch.as_tensor(indices)]}


@breaks("batches-equal-samples")
class OtherTexts(_TextsOnly):
    """Batches with the texts of other samples."""

    def build(self) -> ftrun.Splits:
        return replace(super().build(), val=_Neighbours(12, 1))


@breaks("no-overlap")
class RepeatedTexts(_TextsOnly):
    """The test split is the first part of train."""

    def build(self) -> ftrun.Splits:
        splits = super().build()
        return replace(splits, test=ftrun.Subset(splits.train, torch.arange(12)))


# Nets: a backbone and a modifier for each


def _net(kind: type[ftrun.Net], overrides: Mapping[str, Any], **changes: Any) -> ftrun.Net:
    right = tiny_net(8, 0.0, ftrun_inputs.ImageInput(size=(8, 8)).changed(**overrides))
    given = {
        "input": right.input,
        "num_features": 8,
        "head_path": "head",
        "stages": {"stem": ["features"]},
        "pool_layers": ("pool.0",),
        **changes,
    }
    return kind(right.model, **given)


class _Net(ftrun.Net):
    def features(self, x: Any) -> Any:
        return self.model.features(x)

    def pool(self, features: Any) -> Any:
        return self.model.pool(features)


def net_mutant(name: str, kind: type[ftrun.Net] = _Net, **changes: Any) -> None:
    """A backbone whose net is of a wrong kind, or is told something wrong."""

    class Wrong(tiny.TinyNet):
        """A backbone with a fault."""

        name: Literal["mutant-net"]  # beside the right one, in a run

        def build(self, overrides: Mapping[str, Any]) -> ftrun.Net:
            return _net(kind, overrides, **changes)

    breaks(name)(Wrong)


class _OtherForward(_Net):
    def forward(self, x: Any) -> Any:
        return {name: 2 * output for name, output in super().forward(x).items()}


class _OtherPyramid(_Net):
    def pyramid(self, x: Any) -> Any:
        features = self.features(x)
        return features, features * 2


class _LooksAround(_Net):
    def features(self, x: Any) -> Any:
        features = super().features(x)
        return features - features.mean(0, keepdim=True)


class _OwnSeed(_Net):
    def set_targets(self, targets: Any, *heads: Any) -> None:
        super().set_targets(targets, *heads)
        nn.init.normal_(self.head.weight, generator=torch.Generator().manual_seed(random.getrandbits(30)))


class _Counting(_Net):
    """Counts in a buffer, whether it is frozen or not."""

    def __init__(self, model: nn.Module, **given: Any) -> None:
        super().__init__(model, **given)
        model.features.register_buffer("seen", torch.zeros(()))

    def features(self, x: Any) -> Any:
        self.model.features.seen += len(x)
        return super().features(x)


class _Detached(_Net):
    def forward(self, x: Any) -> Any:
        nothing = self.model.features[0].weight.sum() * 0
        return {name: output.detach() + nothing for name, output in super().forward(x).items()}


class _Forgetful(_Net):
    """Computes with a tensor that is in no state dict."""

    def __init__(self, model: nn.Module, **given: Any) -> None:
        super().__init__(model, **given)
        self.scale = torch.rand(()) + 0.5

    def features(self, x: Any) -> Any:
        return super().features(x) * self.scale


class _CountsCalls(_Net):
    """Remembers how often it was called, in no checkpoint."""

    calls = 0

    def features(self, x: Any) -> Any:
        if self.training:
            self.calls += 1
        return super().features(x) * (1 + self.calls / 10)


class _Branching(_Net):
    def features(self, x: Any) -> Any:
        return super().features(x) if float(x.sum()) > 1e9 else super().features(x) * 1.0


class _OneHead(_Net):
    def set_targets(self, targets: Any, *heads: Any) -> None:
        self.targets = dict(targets)
        self.replace_head(nn.Linear(8, next(iter(targets.values())).outputs))


class _FixedHead(_Net):
    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        return nn.Linear(in_features, max(outputs, 2))


class _Elsewhere(ftrun_inputs.ImageInput):
    """Says of a crop that it is the whole image."""

    def warp(self, raw: torch.Tensor) -> ftrun.Warp:
        height, width = raw.shape[-2:]
        return ftrun.Warp.resized((height, width), self.size)


class _OneSize(_Net):
    def features(self, x: Any) -> Any:
        return super().features(x.reshape(-1, 3, 8, 8))


net_mutant("composes", _OtherForward)
net_mutant("levels-end-in-features", _OtherPyramid)
net_mutant("num-features-true", num_features=7)
net_mutant("stages-cover", stages={"stem": ["features.0"]})
net_mutant("samples-apart", _LooksAround)
net_mutant("same-seed-same-weights", _OwnSeed)
net_mutant("freezing", _Counting)
net_mutant("head-learns", _Detached)
net_mutant("safetensors-round-trip", _Forgetful)
net_mutant("survives-resume", _CountsCalls)
net_mutant("exports", _Branching)
net_mutant("several-targets", _OneHead)
net_mutant("head-replaced", _FixedHead)
net_mutant("any-size", _OneSize)
net_mutant("overrides-applied", input=ftrun_inputs.ImageInput(size=(8, 8)))
net_mutant("pixels-are-where-the-warp-says", input=_Elsewhere(size=(8, 8)))


@breaks("input-spec")
class OtherInput(tiny.TinyNet):
    """Says that its inputs are of another type than they are."""

    name: Literal["tiny-net"]

    class Other(ftrun_inputs.ImageInput):
        """Another one."""

    input_type = Other


@breaks("padding-changes-nothing")
class PaddingCounts(tiny.TinyTextNet):
    """Its mean is over the padding too."""

    name: Literal["tiny-text-net"]

    def build(self, overrides: Mapping[str, Any]) -> ftrun.Net:
        net = super().build(overrides)
        net.pool = lambda features: features.mean(dim=1)
        return net


@breaks("overrides-applied")
class OneLength(tiny.TinyTextNet):
    """Takes no other length."""

    name: Literal["tiny-text-net"]

    def build(self, overrides: Mapping[str, Any]) -> ftrun.Net:
        return super().build({})


@breaks("safetensors-round-trip")
class KeepsItsWords(tiny.TinyTextNet):
    """Learns how many words there are, and does not say so to a net that is built again."""

    name: Literal["tiny-text-net"]

    def fit(self, net: ftrun.Net, train: ftrun.Split) -> None:
        net.model.embedding = nn.Embedding(len(train), net.num_features, padding_idx=0)


def modifier_mutant(name: str, change: Any, **attributes: Any) -> None:
    """A modifier that does something wrong to the net."""

    class Wrong(modifier.Template):
        """A modifier with a fault."""

        name: Literal["template"]

        def build(self, net: ftrun.Net) -> ftrun.Net:
            return change(super().build(net)) or net

    for key, value in attributes.items():
        setattr(Wrong, key, value)
    breaks(name)(Wrong)


def _as(kind: type[ftrun.Net]) -> Any:
    def change(net: ftrun.Net) -> ftrun.Net:
        new = kind(
            net.model,
            input=net.input,
            num_features=net.num_features,
            head_path=net.head_path,
            stages={"stem": ["features"]},
            pool_layers=net.pool_layers,
        )
        new.targets = net.targets
        return new

    return change


class _OwnSeedHead(_Net):
    def __init__(self, model: nn.Module, **given: Any) -> None:
        super().__init__(model, **given)
        nn.init.normal_(model.features[0].bias, generator=torch.Generator().manual_seed(random.getrandbits(30)))


def _one_head(net: ftrun.Net) -> None:
    net.replace_head(nn.Linear(net.num_features, next(iter(net.targets.values())).outputs))


def _no_targets(net: ftrun.Net) -> None:
    net.targets = {}


def _zeroed(net: ftrun.Net) -> None:
    nn.init.zeros_(net.model.features[0].weight)


def _deaf(net: ftrun.Net) -> None:
    net.replace_head(nn.Sequential(nn.Linear(8, 3), _Stop()))


class _Stop(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.detach() + torch.zeros(3, requires_grad=True)


modifier_mutant("composes", _as(_OtherForward))
modifier_mutant("levels-end-in-features", _as(_OtherPyramid))
modifier_mutant("num-features-true", lambda net: setattr(net, "num_features", 7))
modifier_mutant("stages-cover", lambda net: net.model.add_module("extra", nn.Linear(2, 2)))
modifier_mutant("samples-apart", _as(_LooksAround))
modifier_mutant("same-seed-same-weights", _as(_OwnSeedHead))
modifier_mutant("freezing", _as(_Counting))
modifier_mutant("head-learns", _deaf)
modifier_mutant("safetensors-round-trip", _as(_Forgetful))
modifier_mutant("survives-resume", _as(_CountsCalls))
modifier_mutant("exports", _as(_Branching))
modifier_mutant("several-targets", _one_head)
modifier_mutant("keeps-targets", _no_targets)
modifier_mutant("keeps-features", _zeroed)


@breaks("composes-with-others")
class Presuming(modifier.Template):
    """Takes for granted that the head is one linear layer."""

    name: Literal["template"]

    def build(self, net: ftrun.Net) -> ftrun.Net:
        net.replace_head(nn.Linear(net.head.in_features, net.head.out_features))
        return net


# Heads


class _Around(nn.Module):
    """A right head, and something wrong around it."""

    def __init__(self, right: nn.Module) -> None:
        super().__init__()
        self.right = right

    def forward(self, features: Any) -> Any:
        return self.right(features)


class _OneMore(_Around):
    def forward(self, features: Any) -> Any:
        return nn.functional.pad(self.right(features), (0, 1))


class _AgainstTheOthers(_Around):
    def forward(self, features: Any) -> Any:
        return self.right(features - features.mean(0, keepdim=True))


class _OwnDraw(_Around):
    def __init__(self, right: nn.Module) -> None:
        super().__init__(right)
        nn.init.normal_(right.output.bias, generator=torch.Generator().manual_seed(random.getrandbits(30)))


class _Unheard(_Around):
    def forward(self, features: Any) -> Any:
        return self.right(features).detach() + self.right.output.bias.sum()


class _Calls(_Around):
    calls = 0

    def forward(self, features: Any) -> Any:
        self.calls += self.training
        return self.right(features) * (1 + self.calls / 10)


class _OnValues(_Around):
    def forward(self, features: Any) -> Any:
        return self.right(features) if float(features.sum()) > 1e9 else self.right(features) * 1.0


def head_mutant(name: str, kind: type[_Around]) -> None:
    """A head with something wrong around a right one."""

    class Wrong(head.Template):
        """A head with a fault."""

        name: Literal["template"]

        def build(self, net: ftrun.Net, target: ftrun.Target) -> nn.Module:
            return kind(super().build(net, target))

    breaks(name)(Wrong)


head_mutant("output-for-each-kind", _OneMore)
head_mutant("samples-apart", _AgainstTheOthers)
head_mutant("same-seed-same-weights", _OwnDraw)
head_mutant("head-learns", _Unheard)
head_mutant("survives-resume", _Calls)
head_mutant("exports", _OnValues)


# Augmentations


def augmentation_mutant(name: str, change: Any) -> None:
    """An augmentation that does something wrong to (images, random)."""

    class Wrong(augmentation.Template):
        """An augmentation with a fault."""

        name: Literal["template"]

        def build(self) -> Any:
            return lambda batch, random: replace(batch, inputs=change(batch.inputs, random))

    breaks(name)(Wrong)


def _flipped(images: Any, which: Any) -> Any:
    return torch.where(which[:, None, None, None], images.flip(3), images)


augmentation_mutant("shape-and-type", lambda images, random: images.float())
augmentation_mutant("shape-and-type", lambda images, random: images[:, :, 1:])
augmentation_mutant("draws-for-each-sample", lambda images, random: images.flip(3) if random.chance(0.5)[0] else images)
augmentation_mutant(
    "batch-does-not-matter", lambda images, random: _flipped(images, torch.arange(len(images)) % 2 == 1)
)
augmentation_mutant("same-seed-same-result", lambda images, random: _flipped(images, torch.rand(len(images)) < 0.5))
augmentation_mutant("input-left-alone", lambda images, random: images.mul_(random.chance(0.5)[:, None, None, None]))


def mixing_mutant(name: str, mixed: Any) -> None:
    """An augmentation of whole batches with wrong (inputs, labels) of (inputs, labels, order, weight)."""

    class Wrong(augmentation.Template):
        """An augmentation that mixes batches, with a fault."""

        reach = "batch"

        def build(self, targets: Any) -> Any:
            def mix(batch: Any, random: Any) -> Any:
                order, weight = random.permutation(len(batch))[0], random.beta(0.4, 0.4)
                inputs, labels = mixed(batch.inputs, batch.targets["label"], order, weight)
                return replace(batch, inputs=inputs, targets={"label": labels})

            return mix

    breaks(name)(Wrong)


def _mean(inputs: Any, order: Any, weight: Any) -> Any:
    return inputs * weight + inputs[order] * (1 - weight)


_one_hot = torch.eye(3).__getitem__

mixing_mutant("batches-stay-batches", lambda x, y, order, weight: (_mean(x, order, weight).mean(1), y))
mixing_mutant("batches-stay-batches", lambda x, y, order, weight: (_mean(x, order, weight).byte(), y))
mixing_mutant("batches-stay-batches", lambda x, y, order, weight: (x, _one_hot(y) + _one_hot(y[order])))
mixing_mutant("batches-stay-batches", lambda x, y, order, weight: (x, _mean(_one_hot(y), order, weight)))
mixing_mutant("same-seed-same-result", lambda x, y, order, weight: (_mean(x, order, torch.rand(1)), y))
mixing_mutant("input-left-alone", lambda x, y, order, weight: (_mean(x, order, weight), y.clamp_(0)))


def moving_mutant(name: str, draw: Any) -> None:
    """An augmentation that draws wrong maps from (random, size)."""

    class Wrong(augmentation.Template):
        """An augmentation that moves pixels, with a fault."""

        moves = True

        def build(self) -> Any:
            return draw

    breaks(name)(Wrong)


def _sheared(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
    shear = torch.eye(2).repeat(len(random), 1, 1)
    shear[:, 0, 1] = random.uniform(low=0.3, high=0.6)
    return ftrun.Warp.linear(shear, size, ftrun.WarpForm.ALIGNED)


def _collapsed(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
    return ftrun.Warp.linear(torch.diag_embed(random.integers(1, high=2).expand(-1, 2)), size)


moving_mutant("boxes-and-masks-follow", _sheared)
moving_mutant("predictions-come-back", _collapsed)


# Losses


def loss_mutant(name: str, forward: Any) -> None:
    """A loss with a wrong forward(self, output, values)."""

    class Wrong(loss.Template):
        """A loss with a fault."""

        name: Literal["template"]

        def build(self, target: ftrun.Target, values: Any) -> nn.Module:
            kind = type("Wrong", (nn.Module,), {"forward": forward, "calls": 0})
            return kind()

    breaks(name)(Wrong)


def _counting_loss(self: Any, output: Any, values: Any) -> Any:
    self.calls += 1
    return nn.functional.cross_entropy(output, values) * (1 + self.calls / 10)


loss_mutant(
    "scalar-and-finite", lambda self, output, values: nn.functional.cross_entropy(output, values, reduction="none")
)
loss_mutant("scalar-and-finite", lambda self, output, values: -output.softmax(1)[:, 0].log().mean())
loss_mutant("differentiable", lambda self, output, values: (output.argmax(1) != values).float().mean())
loss_mutant(
    "mean-over-batch", lambda self, output, values: nn.functional.cross_entropy(output, values, reduction="sum")
)
loss_mutant("state-round-trip", _counting_loss)
loss_mutant("survives-resume", _counting_loss)


# Objectives


@breaks("survives-resume")
class CountingObjective(objective.Template):
    """Counts its calls where no checkpoint finds the number."""

    name: Literal["template"]

    def build(self, net: ftrun.Net, losses: Any) -> Any:
        class Counting(ftrun.ObjectiveModule):
            calls = 0

            def forward(self, net: ftrun.Net, batch: ftrun.Batch, at: Any) -> Any:
                self.calls += 1
                terms = losses(net, batch, at)
                return ftrun.Terms(terms.loss / self.calls, terms.outputs)

        return Counting()


# Samplers


@breaks("survives-resume")
class CountingSampler(sampler.Template):
    """Another order each time that it is asked."""

    name: Literal["template"]

    def build(self, split: ftrun.Split, targets: Any) -> Any:
        class Counting(sampler.SomeOf):
            calls = 0

            def indices(self, seed: int, epoch: int) -> torch.Tensor:
                self.calls += 1
                return super().indices(seed, self.calls)

        return Counting(len(split), len(split) // 2)


# Recipes


@breaks("whole-spec")
class WithoutLoss(recipe.Template):
    """Fills in an optimizer alone."""

    name: Literal["template"]

    def build(self, facts: ftrun.Facts) -> ftrun.Filled:
        filled = super().build(facts).spec
        return ftrun.Filled({key: filled[key] for key in ("optimizer", "train")})


@breaks("same-facts-same-spec")
class Moody(recipe.Template):
    """Another rate each time that it is asked."""

    name: Literal["template"]
    _calls: ClassVar[list[int]] = []

    def build(self, facts: ftrun.Facts) -> ftrun.Filled:
        self._calls.append(0)
        filled = super().build(facts).spec
        return ftrun.Filled({**filled, "optimizer": {**filled["optimizer"], "lr": 0.001 * len(self._calls)}})


@breaks("plans-any-time")
class Hasty(recipe.Template):
    """The less time there is, the more epochs."""

    name: Literal["template"]

    def plan(self, facts: ftrun.Facts, pace: ftrun.Pace) -> ftrun.Filled:
        return ftrun.Filled({"train": {"epochs": 1 + round(3000 / (1 + pace.seconds))}})


@breaks("dataset-and-backbone-run")
class Overlong(recipe.Template):
    """Phases that do not add up to the epochs that the user states."""

    name: Literal["template"]

    def build(self, facts: ftrun.Facts) -> ftrun.Filled:
        return ftrun.Filled({**super().build(facts).spec, "train": {"phases": [{"epochs": 7}]}})


# Optimizers


def optimizer_mutant(name: str, step: Any) -> None:
    """An optimizer that does step(self, group, weight) to each weight."""

    class Wrong(optimizer.Template):
        """An optimizer with a fault."""

        name: Literal["template"]

        def build(self, params: Any) -> Any:
            class Stepping(torch.optim.Optimizer):
                calls = 0

                @torch.no_grad()
                def step(self, closure: Any = None) -> None:
                    self.calls += 1
                    for group in self.param_groups:
                        for weight in group["params"]:
                            step(self, group, weight)

            return Stepping(params, {"lr": 0.05})

    breaks(name)(Wrong)


def _up(self: Any, group: Any, weight: Any) -> None:
    if weight.grad is not None:
        weight.add_(weight.grad, alpha=group["lr"])


def _own_rate(self: Any, group: Any, weight: Any) -> None:
    if weight.grad is not None:
        weight.sub_(weight.grad, alpha=0.05)


def _decays_all(self: Any, group: Any, weight: Any) -> None:
    weight.mul_(1 - group["lr"])
    if weight.grad is not None:
        weight.sub_(weight.grad, alpha=group["lr"])


def _remembers(self: Any, group: Any, weight: Any) -> None:
    if weight.grad is not None:
        weight.sub_(weight.grad, alpha=group["lr"] / self.calls)


def _keeps_objects(self: Any, group: Any, weight: Any) -> None:
    self.state[weight]["what"] = object()


optimizer_mutant("learns", _up)
optimizer_mutant("parameter-groups", _own_rate)
optimizer_mutant("frozen-left-alone", _decays_all)
optimizer_mutant("state-round-trip", _remembers)
optimizer_mutant("state-round-trip", _keeps_objects)
optimizer_mutant("survives-resume", _remembers)


# Schedulers


def scheduler_mutant(name: str, build: Any) -> None:
    """A scheduler of which `build()` makes the function."""

    class Wrong(scheduler.Template):
        """A scheduler with a fault."""

        name: Literal["template"]

        def build(self) -> Any:
            return build()

    breaks(name)(Wrong)


def _counting_schedule() -> Any:
    calls = [0]

    def factor(progress: float) -> float:
        calls[0] += 1
        return 1 / calls[0]

    return factor


scheduler_mutant("finite-factor", lambda: lambda progress: 0.5 - progress)
scheduler_mutant("finite-factor", lambda: lambda progress: 0.0)
scheduler_mutant("finite-factor", lambda: lambda progress: float("nan"))
scheduler_mutant("function-of-progress", _counting_schedule)
scheduler_mutant("survives-resume", _counting_schedule)


# Metrics


def metric_mutant(name: str, kind: type | None = None, **attributes: Any) -> None:
    """A metric of a wrong kind, or with something wrong said of it."""

    class Wrong(metric.Template):
        """A metric with a fault."""

        name: Literal["template"]

        def build(self, target: ftrun.Target) -> Any:
            return kind() if kind else metric.BrierScore()

    for key, value in attributes.items():
        setattr(Wrong, key, value)
    breaks(name)(Wrong)


class _OfLast(metric.BrierScore):
    def update(self, output: Any, values: Any) -> None:
        self.reset()
        super().update(output, values)


class _Averaging(metric.BrierScore):
    """The mean of batches' means."""

    def update(self, output: Any, values: Any) -> None:
        other = metric.BrierScore()
        other.update(output, values)
        self.total, self.count = self.total + other.compute(), self.count + 1


class _Remembering(metric.BrierScore):
    def reset(self) -> None:
        self.total = self.total * 0


class _AsText(metric.BrierScore):
    def compute(self) -> Any:
        return f"{super().compute()}"


class _Deaf(metric.BrierScore):
    def merge_state(self, other: Any) -> None:
        pass


class _Unmergeable(metric.BrierScore):
    merge_state = property()  # as if there were none


metric_mutant("key-is-plain", key="Brier score")
metric_mutant("gives-a-figure", _AsText)
metric_mutant("one-batch-or-many", _Averaging)
metric_mutant("one-batch-or-many", _OfLast)
metric_mutant("reset-forgets", _Remembering)
metric_mutant("merges", _Deaf)
metric_mutant("merges", _Unmergeable)
metric_mutant("better-is-better", higher_is_better=True)


# Observers


def observer_mutant(name: str, **hooks: Any) -> None:
    """An observer with these methods."""

    class Wrong(observer.Template):
        """An observer with a fault."""

        name: Literal["template"]

        def build(self) -> object:
            return type("Following", (), {key: ftrun.hookimpl(hook) for key, hook in hooks.items()})()

    breaks(name)(Wrong)


def _asks_too_much(self: Any, run: Any, weights: Any) -> None: ...
def _raises(self: Any, epoch: Any) -> None:
    raise ValueError("no")


def _only_new(self: Any, run: Any) -> None:
    (run.folder / "mine").mkdir()


def _reads_words(self: Any, error: Any) -> None:
    error.words  # noqa: B018


def _meddles(self: Any, run: Any) -> None:
    (run.folder / "checkpoints" / "best" / "model.safetensors").write_bytes(b"")


observer_mutant("hooks-known")
observer_mutant("hooks-known", ftrun_before_run=_asks_too_much)
observer_mutant("hooks-known", ftrun_after_step=lambda self: None)
observer_mutant("follows-a-run", ftrun_after_epoch=_raises)
observer_mutant("follows-a-resumed-run", ftrun_before_run=_only_new)
observer_mutant("follows-a-failing-run", ftrun_on_error=_reads_words)
observer_mutant("changes-nothing", ftrun_after_run=_meddles)


# Exporters


def exporter_mutant(name: str, form: type = exporter.ProgramAndNames, **changes: Any) -> None:
    """An exporter whose files have a fault, or that says something wrong of itself."""

    class Wrong(exporter.Template):
        """An exporter with a fault."""

        name: Literal["template"]

        def build(self) -> Any:
            return form(self.separator)

    for key, value in changes.items():
        setattr(Wrong, key, value)
    breaks(name)(Wrong)


class _Form(exporter.ProgramAndNames):
    """Writes another module than the net's."""

    def module(self, model: Any) -> nn.Module:
        return model.module

    def write(self, model: Any, file: Any) -> Any:
        free = ({0: torch.export.Dim("batch", min=1)},)
        torch.export.save(torch.export.export(self.module(model), (model.example,), dynamic_shapes=free), file)


class _Elsewhere(exporter.ProgramAndNames):
    def write(self, model: Any, file: Any) -> Any:
        return super().write(model, file.with_name("model.pt2"))


class _More(exporter.ProgramAndNames):
    def write(self, model: Any, file: Any) -> Any:
        file.parent.with_name("log.txt").write_text("written")
        return super().write(model, file)


class _Sharper(_Form):
    def module(self, model: Any) -> nn.Module:
        class Twice(Deployed):
            def forward(self, inputs: Any) -> Any:
                return {name: 2 * each for name, each in super().forward(inputs).items()}

        return Twice(model.net, raw=model.raw).eval()


class _Logits(_Form):
    def module(self, model: Any) -> nn.Module:
        return Deployed(model.net).eval()  # also where the bare net is asked for

    def write(self, model: Any, file: Any) -> Any:
        return super().write(replace(model, raw=False), file)


class _OneBatch(exporter.ProgramAndNames):
    def write(self, model: Any, file: Any) -> Any:
        torch.export.save(torch.export.export(model.module, (model.example,)), file)


class _First(_Form):
    def module(self, model: Any) -> nn.Module:
        class Only(Deployed):
            def forward(self, inputs: Any) -> Any:
                return dict(list(super().forward(inputs).items())[:1])

        return Only(model.net, raw=model.raw).eval()


class _FromMemory(exporter.ProgramAndNames):
    def open(self, model: Any, file: Any) -> Any:
        return model.module


class _Halved(exporter.ProgramAndNames):
    def write(self, model: Any, file: Any) -> Any:
        made = super().write(model, file)
        model.net.half().float()
        return made


class _Training(exporter.ProgramAndNames):
    def open(self, model: Any, file: Any) -> Any:
        model.net.train()
        return super().open(model, file)


class _Copied(exporter.ProgramAndNames):
    def quantize(self, model: Any, file: Any, into: Any, samples: Any) -> None:
        into.write_bytes(file.read_bytes())


class _Emptied(exporter.ProgramAndNames):
    def quantize(self, model: Any, file: Any, into: Any, samples: Any) -> None:
        file.rename(into)
        file.touch()


class _Talkative(exporter.ProgramAndNames):
    def write(self, model: Any, file: Any) -> Any:
        return {"module": super().write(model, file) and model.module}


exporter_mutant("suffix-is-plain", suffix="pt2")
exporter_mutant("suffix-is-plain", suffix=".PT2")
exporter_mutant("writes-where-told", _Elsewhere)
exporter_mutant("writes-where-told", _More)
exporter_mutant("same-answers", _Sharper)
exporter_mutant("any-batch", _OneBatch)
exporter_mutant("bare-net", _Logits)
exporter_mutant("several-targets", _First)
exporter_mutant("file-is-enough", _FromMemory)
exporter_mutant("leaves-the-net", _Halved)
exporter_mutant("leaves-the-net", _Training)
exporter_mutant("eight-bits", _Copied, quantizes=True)
exporter_mutant("eight-bits", _Emptied, quantizes=True)
exporter_mutant("eight-bits", quantizes=True)
exporter_mutant("exports-a-run", _Talkative)


# Hubs


class _Uploads(hub.Folder):
    def upload(self, *arguments: Any) -> str:
        return super().push(*arguments)

    push = None  # type: ignore[assignment]


class _Positional(hub.Folder):
    def push(self, files: Any, repository: Any, note: Any) -> str:  # type: ignore[override]
        return super().push(files, repository, message=note, private=False)


def hub_mutant(name: str, folder: type) -> None:
    """A hub whose `push` nobody can call."""

    class Wrong(hub.Template):
        """A hub with a fault."""

        name: Literal["template"]

        def build(self) -> Any:
            return folder(self.path)

    breaks(name)(Wrong)


hub_mutant("pushes", _Uploads)
hub_mutant("pushes", _Positional)
