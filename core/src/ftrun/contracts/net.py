"""The one shape of a network that modifiers, losses, caches and exporters see."""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from torch import Tensor, nn

from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.heads import Heads, joined, width
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.levels import Level, measured
from ftrun.contracts.netroles import Takes
from ftrun.contracts.part import Part, PartState
from ftrun.contracts.stages import Staged
from ftrun.contracts.targets import Target
from ftrun.contracts.targets.vector import VectorTarget


class Net(Staged):
    """A pretrained network, taken apart: trunk, levels, neck, heads; `forward(x)` gives {target: output}.

    features: model input -> [B, C, H, W] or [B, T, D], the last level
    pyramid:  model input -> all levels, from high resolution to low; a net with more than the last one overrides it
    pool:     features    -> embedding [B, num_features]
    head:     embedding   -> output [B, outputs], or {target: output} for several targets
    neck:     levels      -> levels, if a modifier puts one there
    heads:    levels      -> output, for targets whose `Head` takes something else than the embedding

    A backbone plugin subclasses this for the library that it stands for, and writes `features` and `pool`.
    What has weights and comes from there lives in `model`, the library's own module, under the library's own names, so
    that `model.state_dict()` loads back into that library; so does the head for the embedding. Neck and other heads are
    outside it, see `extra_modules`.

    model: the library's module
    input: how its inputs are prepared
    num_features: D, the length of the embedding that `pool` gives
    head_path: where in `model` the head is, dotted; `replace_head` puts another one there
    stages: names of the stages from input to output, each with the paths in `model` that belong to it; the longest
        path that fits a parameter decides. The head is always a stage of its own, `head`, and need not be named.
    pool_layers: paths in `model` of the layers that `pool` runs one after the other (a flatten before the first
        linear layer goes without saying); empty where `pool` is anything else, such as taking a class token
    embeds: False where the head takes the features themselves, a map [B, C, H, W], because it is convolutional: `pool`
        is left out then
    """

    static_dims: Collection[str] = ()
    """Names of its input's dynamic dimensions that have their greatest size where it is exported."""

    def __init__(
        self,
        model: nn.Module,
        *,
        input: InputSpec,  # noqa: A002  (the contract's word)
        num_features: int,
        head_path: str,
        stages: Mapping[str, Sequence[str]],
        pool_layers: Sequence[str] = (),
        embeds: bool = True,
    ) -> None:
        super().__init__()
        self.model = model
        self.input = input  # which makes `preparation`
        self.num_features = num_features
        self.head_path = head_path
        self.pool_layers = tuple(pool_layers)
        self.embeds = embeds
        self.targets: dict[str, Target] = {}
        self.neck: nn.Module | None = None
        self.heads = Heads({})
        self.takes: dict[str, Takes] = {}
        """What the heads outside `model` take, by target: `heads` may not have them yet, for they are made last."""
        self._levels: tuple[Level, ...] = ()
        self.parts: tuple[tuple[str, Part], ...] = ()
        """The parts that made it, each with its place in the spec: for messages."""
        self.notes: list[str] = []
        """Lines for the user on how it was made, such as what of a weight file was left out."""
        self.fold_hooks: list[Callable[[Net], None]] = []
        """What modifiers append, functions of a module: each folds what its modifier added into the net it is given."""
        modules = dict(model.named_modules())
        for what, path in (("head_path", head_path), *(("pool_layers", each) for each in self.pool_layers)):
            if path not in modules:
                raise ValueError(f"{what}: {type(model).__name__} has no layer {path!r}.{did_you_mean(path, modules)}")
        known = {*modules, *(name for name, _ in model.named_parameters())}
        for stage, path in ((stage, path) for stage, paths in stages.items() for path in paths):
            if path not in known:
                raise ValueError(f"stages: {stage}: {type(model).__name__} has no {path!r}.{did_you_mean(path, known)}")
        self._stage_paths = {name: tuple(paths) for name, paths in stages.items()}

    @property
    def input(self) -> InputSpec:
        """How its inputs are prepared."""
        return self._input

    @input.setter  # noqa: A003
    def input(self, input: InputSpec) -> None:  # noqa: A002  (the contract's word)
        self._input = input
        self.preparation: nn.Module = input.preparation().requires_grad_(False).eval()

    def prepare(self, collated: Any) -> Any:
        """Return what `features` takes, from what `input.collate` gave, on the net's device."""
        return self.preparation(collated)

    def features(self, x: Any) -> Tensor:
        """Model input, as `prepare` gives it -> [B, C, H, W] or [B, T, D]."""
        raise NotImplementedError

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        """Model input -> maps [B, C, H, W] from high resolution to low, the last of which is `features(x)`."""
        return (self.features(x),)

    def pool(self, features: Tensor) -> Tensor:
        """Return what `features` gave -> embedding [B, num_features]."""
        raise NotImplementedError

    def embed(self, x: Tensor) -> Tensor:
        """Model input -> what the head takes: the embedding [B, num_features], or a map where the net does not embed.

        A net whose backbone is frozen computes it once for each input.
        """
        features = self.features(x)
        return self.pool(features) if self.embeds else features

    def outputs(self, embedding: Tensor) -> dict[str, Tensor]:
        """Return {target: output [B, outputs]} from what `embed` gave; nothing for a net without targets."""
        output = self.head(embedding)
        return output if isinstance(output, dict) else dict.fromkeys(self.embedded_targets, output)

    def forward(self, x: Tensor) -> dict[str, Any]:
        if not self.takes:
            return self.outputs(self.embed(x))
        several = self.neck is not None or "pyramid" in self.takes.values()
        levels = self.pyramid(x) if several else (self.features(x),)
        outputs: dict[str, Any] = {}
        if self.embedded_targets:
            outputs = self.outputs(self.pool(levels[-1]) if self.embeds else levels[-1])
        if self.neck is not None:
            levels = self.neck(levels)
        for name, head in self.heads.items():
            outputs[name] = head(levels if self.takes[name] == "pyramid" else levels[-1])
        return {name: outputs[name] for name in self.targets}

    @property
    def embedded_targets(self) -> list[str]:
        """The targets whose head takes the embedding, and is in `model`."""
        return [name for name in self.targets if name not in self.takes]

    @property
    def plain_target(self) -> VectorTarget | None:
        """Its target, where `model` alone makes a vector for it, as the library's own nets do for classes.

        None where there are several, where it is of another kind, and where its head is not in `model`.
        """
        target = next(iter(self.targets.values()), None)
        is_plain = len(self.targets) == 1 and not self.takes and self.neck is None
        return target if is_plain and isinstance(target, VectorTarget) else None

    @property
    def extra_modules(self) -> nn.ModuleDict:
        """What has weights outside `model`: the heads that are not in it, and the neck."""
        extra = self.weights
        del extra["model"]
        return extra

    @property
    def levels(self) -> tuple[Level, ...]:
        """Channels and stride of what heads outside `model` are given, from high resolution to low.

        They are found by running the net on an example of its input, once.
        """
        if not self._levels:
            self._levels = measured(self)
        return self._levels

    def set_neck(self, neck: nn.Module) -> None:
        """Put a module between levels and heads outside `model`: a tuple of maps -> a tuple of maps."""
        self.neck, self._levels = neck, ()

    def folded(self) -> Self:
        """Return a net that computes the same, without what was added for training alone, such as adapters.

        It is this net itself where there is nothing of the kind, else a copy, and this one stays as it is.
        """
        if not self.fold_hooks:
            return self
        net = deepcopy(self)
        for merge in reversed(net.fold_hooks):
            merge(net)
        net.fold_hooks = []
        return net

    def set_input(self, input: InputSpec) -> None:  # noqa: A002  (the contract's word)
        """Prepare inputs so from now on. A net whose weights depend on it, as rows of tokens do, changes them here."""
        self.input = input

    def take_other_sizes(self) -> None:
        """Take inputs of other sizes than `input`'s from now on, too, as phases of training may have them.

        Nothing by default: a convolutional net does. One whose positions are of one size interpolates them as it runs.
        """

    def remap_weights(
        self,
        tensors: Mapping[str, Tensor],
        state: PartState | None,
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Return the weights of another run's net, by name, as they fit this one; and what a user should know of it.

        A net whose weights depend on its input, as rows of tokens do, puts in order here what is of another one.

        state: of the other run's backbone, which may be another one
        """
        return dict(tensors), []

    @property
    def head(self) -> nn.Module:
        """The part of `model` that turns an embedding into the output."""
        return self.model.get_submodule(self.head_path)

    def replace_head(self, head: nn.Module) -> None:
        """Put `head` (embedding [B, num_features] -> output) in the place of the present one."""
        self.model.set_submodule(self.head_path, head)

    def set_targets(
        self,
        targets: Mapping[str, Target],
        heads: Mapping[str, nn.Module] | None = None,
        takes: Mapping[str, Takes] | None = None,
    ) -> None:
        """Give the net fresh heads for `targets`.

        heads: for targets whose head takes the embedding, by name; `new_output` for all if not given
        takes: what the heads of the others take, by name: `add_head` puts these in
        """
        self.targets = dict(targets)
        self.heads, self.takes = Heads({}), dict(takes or {})
        if heads is None:
            heads = {name: self.new_output(self.num_features, width(targets[name])) for name in self.embedded_targets}
        self.replace_head(joined(heads))

    def add_head(self, target: str, head: nn.Module) -> None:
        """Put a head outside `model`, for one of the targets that `set_targets` was given in `takes`."""
        self.heads[target] = head

    def output_layer(self, in_features: int) -> nn.Module:
        """Return a fresh last layer, on [B, in_features], for the targets whose head takes the embedding.

        For several targets, it is one for each. Raises SpecError where there is none.
        """
        names = self.embedded_targets
        if self.targets and not names:
            taken = " and ".join(sorted({*self.takes.values()}))
            raise SpecError(f"no head of this net takes the embedding, but the {taken}.")
        return joined({name: self.new_output(in_features, width(self.targets[name])) for name in names})

    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        """Return a fresh layer [B, in_features] -> [B, outputs]: linear; a net with another head overrides this."""
        return nn.Linear(in_features, outputs)
