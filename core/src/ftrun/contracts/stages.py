"""The stages of a net, from input to output, and what of them is frozen."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Self

from torch import Tensor, nn

from ftrun.contracts.heads import Heads


class Staged(nn.Module):
    """A net whose parameters are in stages: those of `model` by their paths, all others in `head`."""

    model: nn.Module
    head_path: str
    heads: Heads
    neck: nn.Module | None
    preparation: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self._stage_paths: dict[str, tuple[str, ...]] = {}
        self._learning: set[str] = set()  # parameters that may learn, once `freeze` has looked
        self._frozen: list[nn.Module] = []

    @property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """Ordered, input to output: {stage: names of its parameters, `model.conv1.weight`}, each in exactly one.

        What is outside `model` is of the stage `head`.
        """
        by_stage: dict[str, list[str]] = {name: [] for name in (*self._stage_paths, "head")}
        stage_of = self._stage_finder()
        for parameter, _ in self.weights.named_parameters():
            stage = stage_of(parameter)
            if stage is None:
                raise ValueError(f"parameter {parameter!r} belongs to no stage of {type(self).__name__}")
            by_stage[stage].append(parameter)
        return {name: tuple(parameters) for name, parameters in by_stage.items() if parameters}

    @property
    def weights(self) -> nn.ModuleDict:
        """What has weights, under its name in the net: `model`, heads and neck, but not what prepares inputs."""
        parts = {"model": self.model, "heads": self.heads, "neck": self.neck}
        return nn.ModuleDict({name: module for name, module in parts.items() if module is not None})

    def _stage_finder(self) -> Callable[[str], str | None]:
        """Return what finds the stage of a parameter or module, by its name; None for one that has several in it."""
        paths = {f"model.{path}": stage for stage, paths in self._stage_paths.items() for path in paths}
        paths |= dict.fromkeys((f"model.{self.head_path}", "heads", "neck"), "head")

        def stage_of(name: str) -> str | None:
            while name not in paths and "." in name:
                name = name.rpartition(".")[0]
            return paths.get(name)

        return stage_of

    def in_head(self, name: str) -> bool:
        """Return whether a parameter or module of the net, by its name, belongs to the heads."""
        return f"{name}.".startswith((f"model.{self.head_path}.", "heads.", "neck."))

    def freeze(self, stages: Collection[str], *, statistics: bool = False) -> None:
        """Let exactly these stages be frozen: no gradient, evaluation mode, and so no change of a buffer either.

        Where all but the head is, so is what belongs to no stage, such as dropout before the head.
        A parameter that a modifier took the gradient from stays without one.

        statistics: whether batch normalisation keeps, and computes with, its running statistics in the other stages
            too, while its scale and shift learn. Not so in the head, which is fresh and has none worth keeping.
        """
        parameters = dict(self.weights.named_parameters())
        if not self._learning:
            self._learning = {name for name, each in parameters.items() if each.requires_grad}
        names = self.stages
        learning = self._learning.difference(*(names.get(stage, ()) for stage in stages))
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in learning)
        only_head = names.keys() - {"head"} <= set(stages)
        stage_of = self._stage_finder()
        staged = [(stage_of(name), module) for name, module in self.weights.named_modules() if name]
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


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode; afterwards each part of it is in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:  # a part may never train: a teacher, a frozen stage
            part.training = training


def has_statistics(module: nn.Module) -> bool:
    """Return whether it normalises by a batch's statistics in training, and by running ones in evaluation mode."""
    return isinstance(getattr(module, "running_mean", None), Tensor)
