"""Layouts: what a batch of inputs looks like, and which of its dimensions differ from batch to batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor


class DynamicDim(NamedTuple):
    """A dimension whose size differs from batch to batch, such as the length of a batch's longest text.

    Dimensions of one name have the same size in all tensors of a batch.
    """

    name: str
    least: int
    most: int


class TensorLayout(NamedTuple):
    """One tensor of a batch [B, ...]."""

    dtype: str
    """As torch calls it: `uint8`, `float32`."""
    sizes: tuple[int | DynamicDim, ...]
    """Of its dimensions, without that of the batch."""
    fill: float = 0
    """What stands behind a sample that is shorter than others of its batch."""

    @property
    def dynamic(self) -> dict[int, DynamicDim]:
        """The dimensions that differ, by their number in a batch: that of the batch is 0."""
        return {place: size for place, size in enumerate(self.sizes, 1) if isinstance(size, DynamicDim)}

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of each sample; None where they differ."""
        return None if self.dynamic else tuple(size for size in self.sizes if isinstance(size, int))


Layout: TypeAlias = TensorLayout | Mapping[str, TensorLayout]
"""Of one tensor, or of a mapping of tensors."""


def tensors_of(layout: Layout) -> Mapping[str, TensorLayout]:
    """Return the layouts by name; that of a lone tensor is called ""."""
    return {"": layout} if isinstance(layout, TensorLayout) else layout


def sample_bytes(layout: Layout | None) -> int | None:
    """Return the size of a sample; None where that is unknown, or differs."""
    import torch

    sizes = [] if layout is None else [(each.shape, each.dtype) for each in tensors_of(layout).values()]
    if not sizes or any(shape is None for shape, _ in sizes):
        return None
    size: int = sum(torch.Size(shape or ()).numel() * getattr(torch, dtype).itemsize for shape, dtype in sizes)
    return size


def padded(samples: "Sequence[Any]", layout: Layout) -> Any:
    """Return as one batch what are batches by themselves, each filled up at its end to the largest of them.

    samples: trees of `layout`: tensors [B, ...], or mappings of such
    """
    import torch

    def together(tensors: "Sequence[Tensor]", each: TensorLayout) -> "Tensor":
        most = {dim: max(tensor.shape[dim] for tensor in tensors) for dim in each.dynamic}
        return torch.cat([filled(tensor, each, most) for tensor in tensors])

    if isinstance(layout, TensorLayout):
        return together(samples, layout)
    return {name: together([sample[name] for sample in samples], each) for name, each in layout.items()}


def filled_to_most(batch: Any, layout: Layout, names: "Iterable[str]") -> Any:
    """Return a batch whose dimensions of these names have their greatest size."""
    names = set(names)

    def of(tensor: "Tensor", each: TensorLayout) -> "Tensor":
        return filled(tensor, each, {dim: size.most for dim, size in each.dynamic.items() if size.name in names})

    if isinstance(layout, TensorLayout):
        return of(batch, layout)
    return {name: of(batch[name], each) for name, each in layout.items()}


def filled(tensor: "Tensor", layout: TensorLayout, sizes: Mapping[int, int]) -> "Tensor":
    """Return a tensor [B, ...] with dimensions of these sizes, filled up at the end; itself where it has them."""
    if all(tensor.shape[dim] == size for dim, size in sizes.items()):
        return tensor
    whole = tensor.new_full([sizes.get(dim, size) for dim, size in enumerate(tensor.shape)], layout.fill)
    whole[tuple(slice(size) for size in tensor.shape)] = tensor
    return whole


def described(layout: Layout | None) -> str:
    """Return a layout in words: `float32 [batch, 64, frames]`; of several tensors, each after its name."""
    if layout is None:
        return "what `input` makes of it"

    def of(each: TensorLayout) -> str:
        sizes = [size.name if isinstance(size, DynamicDim) else str(size) for size in each.sizes]
        return f"{each.dtype} [{', '.join(['batch', *sizes])}]"

    return "; ".join(f"{name}: {of(each)}" if name else of(each) for name, each in tensors_of(layout).items())
