"""Hub `template`: a folder that others see too, such as one on a network drive.

A hub is where trained nets are pushed to. `ftrun push RUN REPOSITORY --to template`
brings the weights, the model card, figures, report and exports of a finished run there.
"""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import ftrun
from pydantic import Field, Strict

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

_NAME = re.compile(r"[\w-]+(/[\w-]+)*")


class Template(ftrun.Hub):
    """A folder with a folder for each repository."""

    name: Literal["template"]
    path: Annotated[Path, Strict(False)] = Field(
        Path("models"),
        description="The folder that others see.",
    )

    def build(self) -> Any:
        """An object that pushes."""
        return Folder(self.path)


class Folder:
    """The one method that every hub has."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def push(
        self,
        files: Mapping[str, Path],
        repository: str,
        *,
        message: str,
        private: bool,
    ) -> str:
        """Copy `files`, {name there: path here}, and say where they are now."""
        if not _NAME.fullmatch(repository):  # "../elsewhere" is no repository
            allowed = "letters, digits, '_' and '-', with '/' in between"
            raise ftrun.SpecError(f"{repository}: a repository is {allowed}.")
        place = self.path / repository
        if place.exists():
            what_to_do = "Push to another repository, or remove it."
            raise ftrun.FtrunError(f"{place}: exists already. {what_to_do}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            # Beside, then renamed: there are all of the files, or none.
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as beside:
                whole = Path(beside, "whole")
                for name, file in files.items():
                    (whole / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, whole / name)
                (whole / "message.txt").write_text(f"{message}\n", encoding="utf-8")
                whole.chmod(0o700 if private else 0o755)
                whole.rename(place)
        except OSError as error:
            what = f"{place}: cannot be written: {error.strerror}."
            raise ftrun.FtrunError(what) from error
        return str(place)


@ftrun.hookimpl
def ftrun_hubs() -> list[type[ftrun.Hub]]:
    return [Template]
