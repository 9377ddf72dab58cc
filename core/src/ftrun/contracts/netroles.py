"""The roles that a net is made by: what brings it, what changes it, what its outputs come from."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.part import Fittable, Stateful
from ftrun.contracts.recipe import TrainingRanges
from ftrun.contracts.targets import Target

if TYPE_CHECKING:
    from torch import nn

    from ftrun.contracts.net import Net


class Backbone(Fittable):
    """A pretrained network.

    input_type: the class of its nets' `input`: whose fields a spec's `input` may change, and which reads a saved one
    any_size: whether all its nets take inputs of any size, such as maps that are not square
    """

    role = "backbone"
    input_type: ClassVar[type[InputSpec]]
    any_size: ClassVar[bool] = False

    @abstractmethod
    def build(self, overrides: Mapping[str, Any]) -> "Net":
        """Return the pretrained net with the head that it came with; the core gives it the one that the targets need.

        overrides: the fields of its input that the spec changes, to be applied with `InputSpec.changed`
        """

    def without_weights(self) -> Self:
        """Return the same backbone, whose net has any weights: a run that is resumed or opened has its own.

        A part that fetches weights gives itself with the option that fetches none; one that would have to fetch more,
        such as a configuration, has it in its `state`.
        """
        return self

    @property
    def recipe(self) -> TrainingRanges | None:
        """How its nets train well, which recipes start from; None where nothing is known but what inputs they take.

        It must not load a library.
        """
        return None

    @property
    def base_model(self) -> str | None:
        """What a model hub calls the pretrained weights, "timm/resnet18.a1_in1k"; None where it has none."""
        return None

    def library_code(self, net: "Net") -> str | None:
        """Return Python that makes `net.model` anew, with random weights and no ftrun; None where there is none.

        The last line is an expression, its value; imports come before it: "import timm\\ntimm.create_model(...)".
        An exporter runs it, and takes it only where the net's weights fit into what it makes.

        net: with the head that its targets need, and perhaps changed by modifiers
        """
        return None


class Modifier(Fittable):
    """A change to the net: another head, layers, convolutions instead of fully connected layers.

    keeps_features: whether the net's features stay those of the pretrained weights
    input_kinds: the kinds of input whose nets it changes, as a dataset's `input_kind`; None where it may be any
    """

    role = "modifier"
    input_kinds: ClassVar[tuple[str, ...] | None] = None
    keeps_features: ClassVar[bool] = True

    @abstractmethod
    def build(self, net: "Net") -> "Net":
        """Return the changed net, the same object or another, with its `targets`. Raises SpecError if it cannot be."""


Takes: TypeAlias = Literal["embedding", "map", "tokens", "pyramid"]


class Head(Stateful):
    """What turns a net's features into the output for one target.

    takes: what it is given of the net, of B samples:
        embedding: [B, num_features], what the net pools its features to. Such a head lies in the library's own module,
            in the place and under the names of the library's head
        map: [B, C, H, W], the last of the net's levels; tokens: [B, T, D], the same of a net of tokens
        pyramid: a tuple of maps, those of `net.levels`, from high resolution to low
    kinds: the kinds of target that it works on
    """

    role = "head"
    takes: ClassVar[Takes] = "embedding"
    kinds: ClassVar[tuple[str, ...]] = ("classes", "labels", "values")

    def works_on(self, target: Target) -> bool:
        """Return whether it gives outputs for such a target: of `kinds`, unless overridden."""
        return target.kind in self.kinds

    @abstractmethod
    def build(self, net: "Net", target: Target) -> "nn.Module":
        """Return a module: what it takes -> the output for `target`, [B, outputs] of classes, labels and values.

        net: `net.num_features` is the length of its embedding, `net.levels` has channels and stride of its maps. A head
            for the embedding is made before the modifiers change the net, any other one after them.

        Raises SpecError where it does not fit the net.
        """


class LinearHead(Head):
    """One linear layer on the embedding, of the kind that the net's library has: what a target has by itself."""

    name: Literal["linear"]

    def works_on(self, target: Target) -> bool:
        """Return whether its output is a vector: whether the kind says `outputs`, how many numbers a sample has."""
        return isinstance(getattr(target, "outputs", None), int)

    def build(self, net: "Net", target: Target) -> "nn.Module":
        """Return `Net.new_output`."""
        from ftrun.contracts.heads import width

        return net.new_output(net.num_features, width(target))
