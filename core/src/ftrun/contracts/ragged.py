"""Values that differ in length from sample to sample: boxes, words, samples of sound. One tensor holds them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """What B samples have, n of each, one after the other.

    values: [sum n, ...]; lengths: int64 [B], n of each sample, on the same device
    """

    values: "Tensor"
    lengths: "Tensor"

    @classmethod
    def of(cls, items: "Sequence[Tensor]") -> "Ragged":
        """Return one of a sample's values [n, ...] each. Raises ValueError where there is none."""
        import torch

        if not items:
            raise ValueError("a Ragged is of at least one sample")
        lengths = torch.tensor([len(each) for each in items], device=items[0].device)
        return cls(torch.cat(list(items)), lengths)

    def __len__(self) -> int:
        return self.lengths.size(0)

    def __getitem__(self, index: int) -> "Tensor":
        """Return one sample's values [n, ...]."""
        end = int(self.lengths[: index + 1].sum()) if index >= 0 else int(self.lengths[: len(self) + index + 1].sum())
        return self.values[end - int(self.lengths[index]) : end]

    def unbind(self) -> "list[Tensor]":
        """Return each sample's values, [n, ...], nothing copied."""
        import torch

        return list(torch.split(self.values, self.lengths.tolist()))

    @property
    def samples(self) -> "Tensor":
        """The sample that each value is of: int64 [sum n]."""
        import torch

        numbers = torch.arange(len(self), device=self.lengths.device)
        return numbers.repeat_interleave(self.lengths, output_size=len(self.values))

    def to(self, *args: Any, **options: Any) -> "Ragged":
        """Return the same, the values as `Tensor.to` has them; the lengths stay int64."""
        values = self.values.to(*args, **options)
        lengths = self.lengths.to(values.device, non_blocking=bool(options.get("non_blocking")))
        return Ragged(values, lengths)

    def float(self) -> "Ragged":
        """Return the same with values in float32."""
        return Ragged(self.values.float(), self.lengths)

    def cpu(self) -> "Ragged":
        """Return the same on the CPU."""
        return Ragged(self.values.cpu(), self.lengths.cpu())

    def pin_memory(self) -> "Ragged":
        """Return the same in pinned memory."""
        return Ragged(self.values.pin_memory(), self.lengths.pin_memory())

    def split(self, lengths: Sequence[int]) -> "list[Ragged]":
        """Return the same in parts of so many samples, nothing copied."""
        import torch

        by_part = torch.split(self.lengths, list(lengths))
        counts = [int(each.sum()) for each in by_part]
        return [Ragged(*pair) for pair in zip(torch.split(self.values, counts), by_part, strict=True)]

    def index(self, chosen: "Tensor") -> "Ragged":
        """Return some samples. chosen: bool [B], or their positions in any order, int64 [M]."""
        import torch

        if chosen.dtype == torch.bool:
            return Ragged(self.values[chosen.repeat_interleave(self.lengths)], self.lengths[chosen])
        lengths = self.lengths[chosen]
        starts = (self.lengths.cumsum(0) - self.lengths)[chosen]
        within = torch.arange(int(lengths.sum()), device=lengths.device)
        within = within - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        return Ragged(self.values[starts.repeat_interleave(lengths) + within], lengths)

    @property
    def device(self) -> "torch.device":
        """Where its values are."""
        return self.values.device
