"""Observer `tensorboard`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"


class TensorBoard(ftrun.Observer):
    """Writes each epoch's figures, the spec and the results for TensorBoard."""

    name: Literal["tensorboard"]
    folder: Path | None = Field(
        None,
        description="Where to write, in a folder named after the run; in the run folder's `tensorboard` if not given.",
    )

    def build(self) -> object:
        """An observer of one run."""
        from ftrun_tensorboard.writing import Writing

        return Writing(self.folder)


@ftrun.hookimpl
def ftrun_observers() -> list[type[ftrun.Observer]]:
    return [TensorBoard]
