"""The one shape of a network that modifiers, losses, caches and exporters see."""

from collections.abc import Callable, Collection, ItemsView, Iterator, KeysView, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self
from urllib.parse import unquote

from torch import Tensor, nn

from ftrun.contracts.errors import did_you_mean
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import Target


class Net(nn.Module):
    """A pretrained network, taken apart: `forward(x)` is `outputs(embed(x))`, {target: output}.

    features: model input -> [B, C, H, W] or [B, T, D]
    pool:     features    -> embedding [B, num_features]
    head:     embedding   -> output [B, outputs], or {target: output} where there are several targets

    A backbone plugin subclasses this for the library that it stands for, and writes `features` and `pool`.
    Everything with weights lives in `model`, the library's own module, under the library's own names, so that
    `model.state_dict()` loads back into that library.

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
        self._learning: set[str] = set()  # parameters that may learn, once `freeze` has looked
        self._frozen: list[nn.Module] = []

    @property
    def input(self) -> InputSpec:
        """How its inputs are prepared."""
        return self._input

    @input.setter  # noqa: A003
    def input(self, input: InputSpec) -> None:  # noqa: A002  (the contract's word)
        self._input = input
        self.preparation = input.preparation().requires_grad_(False).eval()

    def prepare(self, collated: Any) -> Any:
        """Return what `features` takes, from what `input.collate` gave, on the net's device."""
        return self.preparation(collated)

    def features(self, x: Any) -> Tensor:
        """Model input, as `prepare` gives it -> [B, C, H, W] or [B, T, D]."""
        raise NotImplementedError

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
        return output if isinstance(output, dict) else dict.fromkeys(self.targets, output)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.outputs(self.embed(x))

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

    def remap_weights(
        self,
        tensors: Mapping[str, Tensor],
        input: Mapping[str, Any],  # noqa: A002
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Return the weights of another run's net, by name, as they fit this one; and what a user should know of it.

        A net whose weights depend on its input, as rows of tokens do, puts in order here what is of another one.

        input: the other net's, as its net.json has it
        """
        return dict(tensors), []

    @property
    def head(self) -> nn.Module:
        """The part of `model` that turns an embedding into the output."""
        return self.model.get_submodule(self.head_path)

    def replace_head(self, head: nn.Module) -> None:
        """Put `head` (embedding [B, num_features] -> output) in the place of the present one."""
        self.model.set_submodule(self.head_path, head)

    def set_targets(self, targets: Mapping[str, Target]) -> None:
        """Give the net a fresh head for `targets`."""
        self.targets = dict(targets)
        self.replace_head(self.output_layer(self.num_features))

    def output_layer(self, in_features: int) -> nn.Module:
        """Return a fresh last layer for this net's targets, on [B, in_features]; for several targets, one for each."""
        layers = {name: self.new_output(in_features, target.outputs) for name, target in self.targets.items()}
        return next(iter(layers.values())) if len(layers) == 1 else Heads(layers)

    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        """Return a fresh layer [B, in_features] -> [B, outputs]: linear; a net with another head overrides this."""
        return nn.Linear(in_features, outputs)

    @property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """Ordered, input to output: {stage: names of its parameters in `model`}. Each parameter is in exactly one."""
        by_stage: dict[str, list[str]] = {name: [] for name in (*self._stage_paths, "head")}
        stage_of = self._stage_finder()
        for parameter, _ in self.model.named_parameters():
            stage = stage_of(parameter)
            if stage is None:
                raise ValueError(f"parameter {parameter!r} belongs to no stage of {type(self).__name__}")
            by_stage[stage].append(parameter)
        return {name: tuple(parameters) for name, parameters in by_stage.items() if parameters}

    def _stage_finder(self) -> Callable[[str], str | None]:
        """Return what finds the stage of a parameter or module of `model`; None for a module that has several in it."""
        paths = {path: stage for stage, paths in self._stage_paths.items() for path in paths}
        paths[self.head_path] = "head"

        def stage_of(name: str) -> str | None:
            while name not in paths and "." in name:
                name = name.rpartition(".")[0]
            return paths.get(name)

        return stage_of

    def freeze(self, stages: Collection[str], *, statistics: bool = False) -> None:
        """Let exactly these stages be frozen: no gradient, evaluation mode, and so no change of a buffer either.

        Where all but the head is, so is what belongs to no stage, such as dropout before the head.
        A parameter that a modifier took the gradient from stays without one.

        statistics: whether batch normalisation keeps, and computes with, its running statistics in the other stages
            too, while its scale and shift learn. Not so in the head, which is fresh and has none worth keeping.
        """
        parameters = dict(self.model.named_parameters())
        if not self._learning:
            self._learning = {name for name, each in parameters.items() if each.requires_grad}
        names = self.stages
        learning = self._learning.difference(*(names.get(stage, ()) for stage in stages))
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in learning)
        only_head = names.keys() - {"head"} <= set(stages)
        stage_of = self._stage_finder()
        staged = [(stage_of(name), module) for name, module in self.model.named_modules()]
        self._frozen = [
            module
            for stage, module in staged
            if (stage != "head" if only_head else stage in stages)
            or (statistics and has_statistics(module) and stage != "head")
        ]
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch has it, but what is frozen stays in evaluation mode."""
        super().train(mode)
        self.preparation.eval()
        for module in self._frozen:
            module.training = False
        return self


def has_statistics(module: nn.Module) -> bool:
    """Return whether it normalises by a batch's statistics in training, and by running ones in evaluation mode."""
    return isinstance(getattr(module, "running_mean", None), Tensor)


class Preparation(nn.Module):
    """An input's `prepare` as a module."""

    def __init__(self, input: InputSpec) -> None:  # noqa: A002  (the contract's word)
        super().__init__()
        self.input = input

    def forward(self, collated: Any) -> Any:
        return self.input.prepare(collated)


class Heads(nn.ModuleDict):
    """A head for each of several targets, whatever they are called: embedding [B, D] -> {target: output}.

    Its keys are the targets' names. In names of weights, what a module's name cannot hold is written as in addresses:
    `a%2Eb` for the target `a.b`, and `%74ype` for `type`, which a module has as an attribute.
    """

    def forward(self, embedding: Tensor) -> dict[str, Tensor]:
        return {name: head(embedding) for name, head in self.items()}

    def __getitem__(self, key: str) -> nn.Module:
        return super().__getitem__(_module_name(key))

    def __setitem__(self, key: str, module: nn.Module) -> None:
        super().__setitem__(_module_name(key), module)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(_module_name(key))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _module_name(key) in self._modules

    def __iter__(self) -> Iterator[str]:
        return map(unquote, self._modules)

    def keys(self) -> KeysView[str]:
        """Return the targets' names."""
        return dict(self.items()).keys()

    def items(self) -> ItemsView[str, nn.Module]:
        """(target's name, head) for each."""
        return dict(zip(self, self.values(), strict=True)).items()


def _module_name(target: str) -> str:
    name = target.replace("%", "%25").replace(".", "%2E")
    taken = hasattr(Heads, name) or name in vars(nn.Module())
    return f"%{ord(name[0]):02X}{name[1:]}" if taken else name
