"""What parts for any kind of input are tried on: inputs of the kind, and a dataset of made-up ones."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import ValidationError

import ftrun
from ftrun.devtools import Plugin
from ftrun_devkit.tiny import TinyTextNet
from ftrun_inputs import ImageInput

TRAIN, OTHER = 48, 12
"""Samples of train; of val, and of test."""


class ExampleSplit:
    """Raw inputs in memory, of three classes."""

    in_memory = True

    def __init__(self, raw: Sequence[Any]) -> None:
        import torch

        self.raw = raw
        self.columns = {"label": torch.arange(len(raw)) % 3}

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return self.raw[index], {"label": self.columns["label"][index]}


def example_splits(input: ftrun.InputSpec) -> ftrun.Splits:  # noqa: A002  (the contract's word)
    """Return splits of what `InputSpec.example` gives."""
    raw = list(input.example(TRAIN + 2 * OTHER))
    train, val, test = raw[:TRAIN], raw[TRAIN : TRAIN + OTHER], raw[TRAIN + OTHER :]
    return ftrun.Splits(
        train=ExampleSplit(train),
        val=ExampleSplit(val),
        test=ExampleSplit(test),
        targets={"label": ftrun.Classes(names=("first", "second", "third"))},
    )


def examples_plugin(kind: str, make: Callable[[], ftrun.InputSpec]) -> Plugin:
    """Return a plugin that offers the dataset `tiny-examples`, of raw inputs of a kind.

    make: gives the input whose examples they are
    """

    class TinyExamples(ftrun.Dataset):
        """Made-up inputs, of three classes."""

        name: Literal["tiny-examples"]
        input_kind = kind

        def build(self) -> ftrun.Splits:
            """Splits in memory."""
            return example_splits(make())

    return Plugin("ftrun-devkit", ftrun.__version__, "tiny-examples", __name__, (TinyExamples,))


def input_of(
    kind: str | None,
    given: type[ftrun.InputSpec] | None,
    fields: dict[str, Any],
    backbones: Iterable[type[ftrun.Backbone]],
) -> ftrun.InputSpec | None:
    """Return an input that takes raw inputs of a kind; None where there is none that can be made without weights.

    given: its class, if a test names it; fields: those that it is made with
    backbones: whose inputs are looked at if not
    """
    if given is None and kind in (None, "image"):
        return ImageInput(size=(16, 20))
    if given is None and kind == "text":
        made: ftrun.InputSpec = TinyTextNet(name="tiny-text-net").build({}).input
        return made
    for type_ in [given] if given else {each.input_type for each in backbones if each.input_type.raw_kind == kind}:
        try:
            return type_.model_validate(fields)
        except ValidationError:  # it needs what comes with weights
            continue
    return None


_MADE: dict[Callable[[Path], Any], tuple[TemporaryDirectory[str], Any]] = {}


def made_once(make: Callable[[Path], Any]) -> Any:
    """Return what `make` gives for an empty folder that lives as long as the process."""
    if make not in _MADE:
        folder = TemporaryDirectory(prefix="ftrun-devkit-")
        _MADE[make] = folder, make(Path(folder.name))
    return _MADE[make][1]
