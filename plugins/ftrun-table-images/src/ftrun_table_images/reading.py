"""Images that a table lists as a split: each is read when it is asked for."""

import os
from pathlib import Path

import ftrun
import ftrun_inputs
from ftrun_tables import Rows


class ListedImages:
    """The images whose paths are the inputs of `rows`, relative to `folder`."""

    def __init__(self, rows: Rows, folder: Path) -> None:
        self.rows = rows
        self.folder = folder
        self.columns = rows.columns

    @property
    def fingerprint(self) -> str | None:
        """Of the images' contents and their paths in the table, in the order of its rows."""
        return ftrun.files_fingerprint(map(self.path, range(len(self))), self.folder)

    @property
    def files(self) -> list[str]:
        """The path of each image."""
        return [self.path(index) for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        # The function that prediction reads a file with too.
        image = ftrun_inputs.read_image(self.path(index))
        return image, {name: values[index] for name, values in self.columns.items()}

    def sample_name(self, index: int) -> str:
        """The path as the table has it."""
        return self.rows.text(index).strip()

    def path(self, index: int) -> str:
        """Where that image is."""
        return os.path.join(self.folder, self.rows.text(index).strip())

    def check(self) -> None:
        """Raise DataError, with the line that lists it, for an image that is not there."""
        missing = [index for index in range(len(self)) if not os.path.isfile(self.path(index))]
        if missing:
            path = self.path(missing[0])
            folder = os.path.dirname(path)
            near = ftrun.did_you_mean(os.path.basename(path), os.listdir(folder) if os.path.isdir(folder) else ())
            more = f" Missing in all: {len(missing)}." if len(missing) > 1 else ""
            self.rows.refuse(missing[0], f"there is no image {path}.{near}{more}")
