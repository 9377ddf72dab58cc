"""Heads of several targets, by their names."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping
from urllib.parse import unquote

from torch import Tensor, nn

from ftrun.contracts.errors import SpecError
from ftrun.contracts.targets import Target


def width(target: Target) -> int:
    """Return the length of a target's output. Raises SpecError for a kind whose output is no vector."""
    outputs = getattr(target, "outputs", None)
    if not isinstance(outputs, int):
        raise SpecError(
            f"{target.kind} are no vector, which the net's own head gives. Name another head.", where="head"
        )
    return outputs


def joined(heads: Mapping[str, nn.Module]) -> nn.Module:
    """Return one module for the heads of several targets: the only one itself, and an identity where there is none."""
    if not heads:
        return nn.Identity()
    return next(iter(heads.values())) if len(heads) == 1 else Heads(heads)


class Heads(nn.ModuleDict):
    """A head for each of several targets, under any names: embedding [B, D] -> {target: output}.

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
