"""Dataset `table-images`: images that a CSV file lists, with one or more target columns."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

import ftrun
from ftrun_tables import CsvTable

if TYPE_CHECKING:
    from ftrun_tables import Read

FTRUN_API = "2.0"


class TableImages(CsvTable):
    """Images that a CSV file lists: a column with their paths, others with what they are to be taken for."""

    name: Literal["table-images"]
    input_kind = "image"
    image: str = Field(description="The column with the path of the image.")
    images: Path | None = Field(
        None, description="The folder that these paths are relative to; the CSV file's own if not given."
    )

    def build(self) -> ftrun.Splits:
        """Train and what there is of val and test: uint8 [3, H, W], and the targets.

        Raises DataError, with file and line, for what is wrong in the CSV file, and for an image that is not there.
        """
        return self._images(self.rows(self.image))

    def evaluation(self) -> ftrun.Splits:
        """The same, uncut."""
        return self._images(self.rows(self.image, whole=True))

    def _images(self, read: "Read") -> ftrun.Splits:
        splits, targets, notes = read
        from ftrun_table_images.reading import ListedImages

        folder = self.images.absolute() if self.images else None
        images = {split: ListedImages(rows, folder or rows.file.path.parent) for split, rows in splits.items()}
        for each in images.values():
            each.check()
        return ftrun.Splits(**{"train": None, **images}, targets=targets, notes=notes)


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [TableImages]
