"""What training makes small: the losses of all targets together."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ftrun.building import blame, misbuilt
from ftrun.run.checks import fault_of_loss
from ftrun.specs import Loss
from ftrun.targets import Target, Values


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
        self._halves = torch.tensor([0.5 if isinstance(each, Values) else 1.0 for each in self.targets.values()])

    def forward(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        return self.total(self.each(outputs, targets))

    def each(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> list[Tensor]:
        """Each target's own loss, a scalar, in their order."""
        return [
            self._one(name, target, loss, outputs[name].float(), targets[name])
            for (name, target), loss in zip(self.targets.items(), self.losses, strict=True)
        ]

    def total(self, each: list[Tensor]) -> Tensor:
        """What is made small, from each target's loss."""
        if self.log_variances is not None:
            losses, factors = torch.stack(each), self._halves.to(self.log_variances.device)
            return (factors * torch.exp(-self.log_variances) * losses + self.log_variances / 2).sum()
        if self._weights:
            each = [self._weights.get(name, 1.0) * loss for name, loss in zip(self.targets, each, strict=True)]
        return each[0] if len(each) == 1 else torch.stack(each).sum()

    def _one(self, name: str, target: Target, loss: nn.Module, output: Tensor, values: Tensor) -> Tensor:
        if name not in self.missing:
            return self._computed(name, loss, output, target.encode(values).to(output.device))
        present = target.present(values).to(output.device)
        if not present.any():
            return output.sum() * 0
        encoded = target.encode(values).to(output.device)
        filled = target.filled(output[present], encoded[present])
        return self._computed(name, loss, *filled) * present.float().mean()

    def _computed(self, name: str, loss: nn.Module, output: Tensor, values: Tensor) -> Tensor:
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

    def learnt(self) -> dict[str, Any]:
        """The values of its parameters, by name, as lists of numbers: what a checkpoint keeps."""
        return {name: parameter.tolist() for name, parameter in self.named_parameters()}

    @torch.no_grad()
    def load_learnt(self, values: Mapping[str, Any]) -> None:
        """Put in what `learnt` gave."""
        for name, parameter in self.named_parameters():
            parameter.copy_(torch.tensor(values[name]))
