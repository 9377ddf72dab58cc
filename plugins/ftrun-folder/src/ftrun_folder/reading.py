"""Image files as a split: each is decoded when it is asked for."""

import contextlib
import hashlib
import os
from collections.abc import Sequence

import torch

import ftrun
from ftrun_folder.layout import Tree


class ImageFiles:
    """The images of a tree as a split; labels are positions in `names`."""

    def __init__(self, tree: Tree, names: Sequence[str]) -> None:
        labels = {name: label for label, name in enumerate(names)}
        self.paths = [image.path for images in tree.values() for image in images]
        self.targets = {"label": torch.tensor([labels[name] for name, images in tree.items() for _ in images])}

    @property
    def fingerprint(self) -> str:
        """Of the files' names, sizes and times of change, in their order."""
        found = hashlib.sha256()
        for path in self.paths:
            with contextlib.suppress(OSError):  # one that is gone is reported when it is read
                status = os.stat(path)
                found.update(f"{os.path.basename(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        # The function that prediction reads a file with too.
        return ftrun.ImageInput.read(self.paths[index]), {"label": self.targets["label"][index]}
