"""Samples as rows of bytes: what the cache keeps of inputs that are several tensors, or of different sizes.

A row begins with the sizes that differ, int64; each tensor follows at the place that its greatest size needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.errors import PluginError
from ftrun.contracts.layout import DynamicDim, Layout, TensorLayout, described, filled, tensors_of

_ALIGNED = 8  # bytes; a tensor begins at a multiple of it


@dataclass(frozen=True)
class _Place:
    """Where a row has a tensor: the numbers of its dynamic dimensions' sizes in the header, and its bytes."""

    layout: TensorLayout
    dtype: torch.dtype
    sizes: Mapping[int, int]
    start: int

    def shape(self, header: Sequence[int]) -> list[int]:
        """Return the shape of one sample's tensor."""
        fixed = enumerate(self.layout.sizes, 1)
        return [header[self.sizes[dim]] if isinstance(size, DynamicDim) else size for dim, size in fixed]

    @property
    def most(self) -> int:
        """Its bytes at its greatest size."""
        sizes = [size.most if isinstance(size, DynamicDim) else size for size in self.layout.sizes]
        return torch.Size(sizes).numel() * self.dtype.itemsize


class Rows:
    """How the samples of a layout become rows of bytes, and batches again."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        tensors = tensors_of(layout)
        header = [(name, dim) for name, each in tensors.items() for dim in each.dynamic]
        self._header, start = len(header), len(header) * _ALIGNED
        self._places: dict[str, _Place] = {}
        for name, each in tensors.items():
            sizes = {dim: header.index((name, dim)) for dim in each.dynamic}
            place = _Place(each, getattr(torch, each.dtype), sizes, start)
            self._places[name] = place
            start += -(-place.most // _ALIGNED) * _ALIGNED
        self.width = start
        """Bytes of a row."""

    def packed(self, sample: Any) -> Tensor:
        """Return a sample, a batch of one, as a row: uint8 [width]. Raises PluginError where it has another layout."""
        row = torch.zeros(self.width, dtype=torch.uint8)
        header = row[: self._header * _ALIGNED].view(torch.int64)
        tensors = sample if isinstance(sample, Mapping) else {"": sample}
        if tensors.keys() != self._places.keys():
            raise self._other(sample)
        for name, place in self._places.items():
            tensor = tensors[name]
            for dim, position in place.sizes.items():
                header[position] = tensor.shape[dim] if dim < tensor.ndim else 0
            if tensor.dtype != place.dtype or list(tensor.shape) != [1, *place.shape(header.tolist())]:
                raise self._other(sample)
            if any(tensor.shape[dim] > size.most for dim, size in place.layout.dynamic.items()):
                raise self._other(sample)
            flat = tensor.contiguous().reshape(-1).view(torch.uint8)
            row[place.start : place.start + len(flat)] = flat
        return row

    def batch(self, rows: Tensor) -> Any:
        """Return rows, uint8 [B, width], as a batch: each sample filled up to the largest of them."""
        headers = rows[:, : self._header * _ALIGNED].contiguous().view(torch.int64).view(len(rows), -1).tolist()
        tensors = {name: self._tensor(place, rows, headers) for name, place in self._places.items()}
        return tensors[""] if isinstance(self.layout, TensorLayout) else tensors

    def _tensor(self, place: _Place, rows: Tensor, headers: Sequence[Sequence[int]]) -> Tensor:
        if not place.sizes:
            whole = rows[:, place.start : place.start + place.most].contiguous().view(place.dtype)
            return whole.view(len(rows), *place.shape(()))
        shapes = [place.shape(header) for header in headers]
        most = {dim: max(shape[dim - 1] for shape in shapes) for dim in place.sizes}
        samples = []
        for row, shape in zip(rows, shapes, strict=True):
            size = torch.Size(shape).numel() * place.dtype.itemsize
            sample = row[place.start : place.start + size].view(place.dtype).view(1, *shape)
            samples.append(filled(sample, place.layout, most))
        return torch.cat(samples)

    def _other(self, sample: Any) -> PluginError:
        tensors = sample if isinstance(sample, Mapping) else {"": sample}
        given = "; ".join(f"{name} {str(each.dtype)[6:]} {list(each.shape)}".strip() for name, each in tensors.items())
        return PluginError(
            f"its collated_layout is {described(self.layout)}, but its collate() gives {given} for one sample."
        )


@dataclass(frozen=True)
class Apart:
    """Collates raw inputs one by one, into rows."""

    collate: Callable[[Any], Any]
    rows: Rows

    @property
    def input(self) -> Any:
        """What collates."""
        return getattr(self.collate, "input", None)

    def __call__(self, raw: Any) -> Tensor:
        """Return uint8 [B, width]."""
        return torch.stack([self.rows.packed(self.collate([each])) for each in raw])
