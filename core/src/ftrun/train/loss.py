"""What training makes small: the losses of all targets together."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ftrun.contracts.specs import Loss
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree, in_float32, leaves, moved, tree_index
from ftrun.plugins.building import blame, misbuilt
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.checks import fault_of_loss


class TotalLoss(nn.Module):
    """Outputs and true values by target -> a scalar, in float32: the weighted sum of each target's own loss.

    A sample that misses a target counts 0 in that target's mean, and so does each single value that it misses: so a
    batch in parts has the gradient of the whole. Values are compared as they were standardised. Where the losses, or
    the weights, have parameters, they learn too.

    weights: of each target, 1 if not given; "uncertainty" learns them (Kendall, Gal and Cipolla, "Multi-task learning
        using uncertainty to weigh losses", 2018): with s the logarithm of a target's variance, its loss counts
        exp(-s) times, half of that for values, and s / 2 is added
    missing: targets that some samples do not have
    parts: the part that made each target's loss, and its place in the spec: for messages
    """

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        targets: Mapping[str, Target],
        weights: Mapping[str, float] | Literal["uncertainty"] | None = None,
        missing: Collection[str] = (),
        parts: Mapping[str, tuple[str, Loss]] | None = None,
    ) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses.values())
        self.targets = {name: targets[name] for name in losses}
        self.missing = frozenset(missing)
        self._parts = parts or {}
        self.log_variances = nn.Parameter(torch.zeros(len(losses))) if weights == "uncertainty" else None
        self._weights = weights if isinstance(weights, Mapping) else {}
        self._factors = torch.tensor([target.loss_factor for target in self.targets.values()])

    def forward(self, outputs: Mapping[str, Tree], targets: Mapping[str, Tree]) -> Tensor:
        return self.total(self.each(outputs, targets))

    def each(self, outputs: Mapping[str, Tree], targets: Mapping[str, Tree]) -> list[Tensor]:
        """Each target's own loss, a scalar, in their order."""
        return [
            self._one(name, target, loss, in_float32(outputs[name]), targets[name])
            for (name, target), loss in zip(self.targets.items(), self.losses, strict=True)
        ]

    def total(self, each: list[Tensor]) -> Tensor:
        """What is made small, from each target's loss."""
        if self.log_variances is not None:
            losses, factors = torch.stack(each), self._factors.to(self.log_variances.device)
            return (factors * torch.exp(-self.log_variances) * losses + self.log_variances / 2).sum()
        if self._weights:
            each = [self._weights.get(name, 1.0) * loss for name, loss in zip(self.targets, each, strict=True)]
        return each[0] if len(each) == 1 else torch.stack(each).sum()

    def _one(self, name: str, target: Target, loss: nn.Module, output: Tree, values: Tree) -> Tensor:
        device = next(leaves(output)).device
        if name not in self.missing:
            return self._computed(name, loss, output, moved(target.encode(values), device))
        present = target.present(values).to(device)
        if not present.any():
            return sum((each.sum() * 0 for each in leaves(output)), torch.zeros((), device=device))
        encoded = moved(target.encode(values), device)
        filled = target.filled(tree_index(output, present), tree_index(encoded, present))
        return self._computed(name, loss, *filled) * present.float().mean()

    def _computed(self, name: str, loss: nn.Module, output: Tree, values: Tree) -> Tensor:
        """What a target's loss gives. Raises PluginError where that is no scalar."""
        try:
            value: Tensor = loss(output, values)
            if name in self._parts and (fault := fault_of_loss(value)):
                raise misbuilt(self._parts[name][1], fault)
        except Exception as error:
            if name in self._parts:
                where, part = self._parts[name]
                blame(error, part, where)
            raise
        return value

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the losses into evaluation mode; afterwards they are as before, whatever was written to their buffers.

        So what is evaluated teaches nothing, also where a loss does not look at its mode.
        """
        modes, buffers = [(module, module.training) for module in self.modules()], KeptBuffers(self)
        self.eval()
        try:
            yield
        finally:
            buffers.restore()
            self.train(modes[0][1])
            for module, training in modes:  # a part of a loss may never train: a teacher
                module.training = training

    def state(self) -> dict[str, Any]:
        """Return parameters, buffers and extra state by name: what a checkpoint keeps of the losses."""
        return dict(self.state_dict())

    def load_state(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Put in what `state` gave; a buffer that a loss makes only when it is used is made on `device`.

        Raises RuntimeError where it is the state of other losses.
        """
        for name, value in state.items():
            self._make_buffer(name, value, device)
        self.load_state_dict(dict(state))

    def _make_buffer(self, name: str, value: Any, device: torch.device) -> None:
        """See that a buffer is of the shape and dtype of `value`."""
        path, _, leaf = name.rpartition(".")
        known = dict(self.named_modules())
        if not isinstance(value, Tensor) or path not in known or leaf in known[path]._parameters:
            return  # load_state_dict says what is wrong with it, if anything
        module, buffer = known[path], known[path]._buffers.get(leaf)
        if buffer is not None and (is_lazy(buffer) or (buffer.shape, buffer.dtype) == (value.shape, value.dtype)):
            return
        module.register_buffer(leaf, torch.empty_like(value, device=device))
