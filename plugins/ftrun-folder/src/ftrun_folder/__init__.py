"""Dataset `image-folder`: images in a folder for each class."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

import ftrun
import ftrun_inputs
from ftrun_folder import layout

FTRUN_API = "2.0"


class Split(BaseModel):
    """How one tree of class folders is split: stratified, and the same in every run."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    val: float = Field(0.1, ge=0, lt=1, description="Part of the images that is set aside for validation.")
    test: float = Field(0.1, ge=0, lt=1, description="Part of the images that is set aside for the test.")
    seed: int = Field(0, description="Another one sets other images aside; the run's own seed changes nothing here.")

    @model_validator(mode="after")
    def _leaves_some_for_training(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError("val and test together must be less than 1, so that some images are left for training")
        return self


class ImageFolder(ftrun.Dataset):
    """Images in a folder for each class: in train/, val/ and test/, or in one tree that is split by fractions."""

    name: Literal["image-folder"]
    input_kind = "image"
    path: Path = Field(description="Folder that holds train/, val/ and test/, or the class folders themselves.")
    split: Split | None = Field(
        None, description="How to split class folders that are not in train/; left out: a tenth each for val and test."
    )
    limit: int | None = Field(
        None, ge=1, description="At most so many images from each split, spread over the classes in proportion."
    )

    @property
    def target_kinds(self) -> dict[str, str]:
        """One label of each image."""
        return {"label": "classes"}

    def build(self) -> ftrun.Splits:
        """Train and what there is of val and test: uint8 [3, H, W], and the label, int64.

        Raises DataError where the folders are not as they should be, and SpecError where `split` does not apply.
        """
        path = str(self.path.absolute())
        scan = ftrun.FileScan(ftrun_inputs.ImageInput.suffixes)
        split = layout.is_split(path, scan)
        if split:
            if self.split is not None:
                raise ftrun.SpecError(
                    f"{path} is split into folders already, so `split` would do nothing. Leave it out."
                )
            trees = layout.read_splits(path, scan)
        else:
            wanted = self.split or Split()
            trees = layout.cut(layout.read_tree(path, scan), {"test": wanted.test, "val": wanted.val}, wanted.seed)
        return self._splits(trees, path, scan, split=split)

    def evaluation(self) -> ftrun.Splits:
        """What there is in train/, val/ and test/; or every image of class folders that are not in them, uncut."""
        path = str(self.path.absolute())
        scan = ftrun.FileScan(ftrun_inputs.ImageInput.suffixes)
        trees = layout.read_whole(path, scan)
        return self._splits(trees, path, scan, split="all" not in trees)

    def at(self, path: Path) -> Self:
        """Images elsewhere, all of them, whatever part of the run's own was taken."""
        return self.changed(path=path, split=None, limit=None)

    def _splits(self, trees: dict[str, layout.Tree], path: str, scan: ftrun.FileScan, *, split: bool) -> ftrun.Splits:
        notes = [*layout.beside(path, trees, scan, split=split), *scan.passed_over(), *scan.kinds()]
        names = tuple(sorted({name for tree in trees.values() for name in tree}))
        if self.limit is not None:
            trees = {name: layout.limited(tree, self.limit) for name, tree in trees.items()}

        from ftrun_folder.reading import ImageFiles

        splits = {name: ImageFiles(tree, names, path) for name, tree in trees.items()}
        return ftrun.Splits(**{"train": None, **splits}, targets={"label": ftrun.Classes(names=names)}, notes=notes)


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [ImageFolder]
