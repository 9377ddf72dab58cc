"""What is made small where a spec names no objective: the losses of all targets together."""

import inspect
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ftrun.contracts.data import Batch
from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, StepInfo, Terms
from ftrun.contracts.specs import Loss
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree, in_float32, leaves, moved, tree_index
from ftrun.plugins.building import blame, misbuilt
from ftrun.train.checks import fault_of_loss
from ftrun.train.forward import outputs, outputs_and_embedding


class Supervised(ObjectiveModule):
    """The weighted sum of each target's own loss, a scalar in float32.

    A sample that misses a target counts 0 in that target's mean, and so does each single value that it misses: so a
    batch in parts has the gradient of the whole. Values are compared as they were standardised. Where the losses, or
    the weights, have parameters, they learn too. With several targets, each one's own loss is a part, `color/loss`.

    weights: of each target, 1 if not given; "uncertainty" learns them (Kendall, Gal and Cipolla, "Multi-task learning
        using uncertainty to weigh losses", 2018): with s the logarithm of a target's variance, its loss counts
        exp(-s) times, half of that for values, and s / 2 is added
    missing: targets that some samples do not have
    made_by: the part that made each target's loss, and its place in the spec: for messages
    """

    records = True

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        targets: Mapping[str, Target],
        weights: Mapping[str, float] | Literal["uncertainty"] | None = None,
        missing: Collection[str] = (),
        made_by: Mapping[str, tuple[str, Loss]] | None = None,
    ) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses.values())
        self._losses = {name: (loss, _named(loss)) for name, loss in losses.items()}
        self._takes = {key for _, takes in self._losses.values() for key in takes}
        self.takes_embeddings = "inputs" not in self._takes
        self.whole_batch = any(getattr(loss, "whole_batch", False) for loss in losses.values())
        self.targets = {name: targets[name] for name in losses}
        self.missing = frozenset(missing)
        self._made_by = made_by or {}
        self.log_variances = nn.Parameter(torch.zeros(len(losses))) if weights == "uncertainty" else None
        self._weights = weights if isinstance(weights, Mapping) else {}
        self._factors = torch.tensor([target.loss_factor for target in self.targets.values()])

    def forward(self, net: Net, batch: Batch, at: StepInfo) -> Terms:
        more: dict[str, Tree] = {}
        if self._takes:
            made, embedding = outputs_and_embedding(net, batch)
            more = {"embedding": in_float32(embedding), "inputs": batch.inputs, "ids": batch.ids}
        else:
            made = outputs(net, batch)
        with _full_precision(batch.ids.device):
            return self.terms(made, batch.targets, more)

    def terms(
        self, outputs: Mapping[str, Tree], targets: Mapping[str, Tree], more: Mapping[str, Tree] | None = None
    ) -> Terms:
        """Return the loss, and each target's own, from the net's outputs and true values by target's name.

        more: what losses may name besides: embedding, inputs, ids
        """
        each = [self.of_target(name, in_float32(outputs[name]), targets[name], more or {}) for name in self.targets]
        parts = dict(zip((f"{name}/loss" for name in self.targets), each, strict=True)) if len(each) > 1 else {}
        return Terms(self._total(each), outputs, parts)

    def _total(self, each: list[Tensor]) -> Tensor:
        if self.log_variances is not None:
            losses, factors = torch.stack(each), self._factors.to(self.log_variances.device)
            return (factors * torch.exp(-self.log_variances) * losses + self.log_variances / 2).sum()
        if self._weights:
            each = [self._weights.get(name, 1.0) * loss for name, loss in zip(self.targets, each, strict=True)]
        return each[0] if len(each) == 1 else torch.stack(each).sum()

    def of_target(self, name: str, output: Tree, values: Tree, more: Mapping[str, Tree]) -> Tensor:
        """Return one target's own loss, a scalar. more: as for `terms`"""
        target, (loss, takes) = self.targets[name], self._losses[name]
        more = {key: more[key] for key in takes}
        device = next(leaves(output)).device
        if name not in self.missing:
            return self._computed(name, loss, output, moved(target.encode(values), device), more)
        present = target.present(values).to(device)
        if not present.any():
            return sum((each.sum() * 0 for each in leaves(output)), torch.zeros((), device=device))
        encoded = moved(target.encode(values), device)
        filled = target.filled(tree_index(output, present), tree_index(encoded, present))
        more = {key: tree_index(each, present) for key, each in more.items()}
        return self._computed(name, loss, *filled, more) * present.float().mean()

    def _computed(self, name: str, loss: nn.Module, output: Tree, values: Tree, more: Mapping[str, Tree]) -> Tensor:
        """What a target's loss gives. Raises PluginError where that is no scalar."""
        try:
            value: Tensor = loss(output, values, **more)
            if name in self._made_by and (fault := fault_of_loss(value)):
                raise misbuilt(self._made_by[name][1], fault)
        except Exception as error:
            if name in self._made_by:
                where, part = self._made_by[name]
                blame(error, part, where)
            raise
        return value


def _named(loss: nn.Module) -> tuple[str, ...]:
    """Return what a loss takes besides output and values: looked up once, not in each step."""
    known = inspect.signature(loss.forward).parameters
    return tuple(name for name in ("embedding", "inputs", "ids") if name in known)


def _full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """The end of autocast, in the block: losses are computed in float32."""
    enabled = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if enabled else nullcontext()
