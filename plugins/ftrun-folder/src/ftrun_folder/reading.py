"""Image files as a split: each is decoded when it is asked for."""

from collections.abc import Sequence
from pathlib import Path

import torch

import ftrun
import ftrun_inputs
from ftrun_folder.layout import Tree


class ImageFiles:
    """The images of a tree as a split; labels are positions in `names`.

    root: the dataset's folder, which all of them are in
    """

    def __init__(self, tree: Tree, names: Sequence[str], root: str) -> None:
        self.root = root
        labels = {name: label for label, name in enumerate(names)}
        self.files = [image.path for images in tree.values() for image in images]
        self.columns = {"label": torch.tensor([labels[name] for name, images in tree.items() for _ in images])}

    @property
    def fingerprint(self) -> str | None:
        """Of the files' contents and their names below `root`, in their order."""
        return ftrun.files_fingerprint(self.files, self.root)

    def __len__(self) -> int:
        return len(self.files)

    def sample_name(self, index: int) -> str:
        """The file's path in the dataset's folder."""
        return Path(self.files[index]).relative_to(self.root).as_posix()

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        # The function that prediction reads a file with too.
        return ftrun_inputs.read_image(self.files[index]), {"label": self.columns["label"][index]}
