"""Dataset `docstrings`: which package of the standard library a docstring is from. Every installed Python has them."""

import ast
import hashlib
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

import ftrun

PACKAGES = (
    "asyncio",
    "email",
    "encodings",
    "http",
    "importlib",
    "logging",
    "multiprocessing",
    "unittest",
    "urllib",
    "xml",
)


class Docstrings(ftrun.Dataset):
    """The docstrings of ten packages of the Python that runs this: some 2000 texts, 70 % of them to learn from."""

    name: Literal["docstrings"]
    input_kind = "text"
    words: int = Field(4, ge=1, description="Words that a docstring has at least; shorter ones are left out.")

    def build(self) -> ftrun.Splits:
        """Read the packages' source files, without importing them. Raises DataError where there are none."""
        library = Path(sysconfig.get_path("stdlib"))
        found: dict[str, list[str]] = {}  # where each text stands
        for package in PACKAGES:
            for place, text in _docstrings(library, package):
                if len(text.split()) >= self.words:
                    found.setdefault(text, []).append(place)
        splits: dict[str, list[tuple[str, int]]] = {"train": [], "val": [], "test": []}
        for text, places in sorted(found.items()):
            packages = {place.partition("/")[0] for place in places}
            if len(packages) == 1:  # what several have is of none
                splits[_split_of(min(places))].append((text, PACKAGES.index(*packages)))
        if not all(splits.values()):
            raise ftrun.DataError(f"{library}: the sources of {', '.join(PACKAGES)} are not all there.")
        return ftrun.Splits(
            **{name: TextSplit(rows) for name, rows in splits.items()},
            targets={"label": ftrun.Classes(names=PACKAGES)},
        )


class TextSplit:
    """Texts in memory, with their labels."""

    in_memory = True

    def __init__(self, rows: list[tuple[str, int]]) -> None:
        import torch

        self.texts = [text for text, _ in rows]
        self.lengths = torch.tensor([len(text) for text in self.texts])  # batches are of similar length
        self.fingerprint = hashlib.sha256(repr(self.texts).encode()).hexdigest()  # so that embeddings are kept
        self.columns = {"label": torch.tensor([label for _, label in rows])}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return self.texts[index], {"label": self.columns["label"][index]}


def _docstrings(library: Path, package: str) -> Iterator[tuple[str, str]]:
    """(place, text) of each docstring; all of a class have one place, a function of its own another."""
    for path in sorted((library / package).rglob("*.py")):
        file = path.relative_to(library).as_posix()
        if not {"test", "tests"} & set(path.parts):
            module = ast.parse(path.read_text(encoding="utf-8"))
            yield file, _text(module)
            for top in module.body:
                for node in ast.walk(top):
                    if isinstance(node, _DOCUMENTED):
                        yield f"{file}: {getattr(top, 'name', '')}", _text(node)


_DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _text(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return " ".join((ast.get_docstring(node) or "").split())


def _split_of(place: str) -> str:
    """By the place alone: methods of one class, which speak alike, are in one split, whatever the version of Python."""
    tenth = hashlib.sha256(place.encode()).digest()[0] % 10
    return "train" if tenth < 7 else "val" if tenth == 7 else "test"


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Docstrings]
