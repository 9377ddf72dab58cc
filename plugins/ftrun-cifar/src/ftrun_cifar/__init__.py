"""Datasets `cifar10` and `cifar100`."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"


class _Cifar(ftrun.Dataset):
    source: ClassVar[str]  # its class in torchvision.datasets

    root: Path = Field(
        Path("data"), description="Folder that holds the archive or its unpacked folder, or receives them."
    )

    @property
    def target_kinds(self) -> dict[str, str]:
        """One label of each image."""
        return {"label": "classes"}

    def build(self) -> ftrun.Splits:
        """Train and test: uint8 [N, 3, 32, 32], and the label, int64 [N].

        Raises DataError where the archive is damaged, or is neither there nor to be had.
        """
        from torchvision import datasets

        from ftrun_cifar.reading import read

        return read(getattr(datasets, self.source), self.root.absolute())


class Cifar10(_Cifar):
    """CIFAR-10: 60,000 colour photos, 32x32 pixels, in 10 classes; downloaded (163 MB) where it is missing."""

    source = "CIFAR10"
    name: Literal["cifar10"]
    input_kind = "image"


class Cifar100(_Cifar):
    """CIFAR-100: 60,000 colour photos, 32x32 pixels, in 100 classes; downloaded (161 MB) where it is missing."""

    source = "CIFAR100"
    name: Literal["cifar100"]
    input_kind = "image"


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [Cifar10, Cifar100]
