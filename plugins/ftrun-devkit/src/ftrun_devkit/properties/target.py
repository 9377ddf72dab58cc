"""What holds for kinds of target."""

import json
from pathlib import Path
from typing import Any

import torch

from ftrun import DataError, Ragged, tree_index
from ftrun_devkit.subject import Subject, expect, fail
from ftrun_devkit.suite import holds_for

_MEND = "Let made_up() give decoded outputs and values of a few samples, as decode() and collate() give them."


def _made_up(subject: Subject, place: Path) -> tuple[Any, Any, Any, int]:
    """The target, outputs and values that it makes up, and of how many samples they are."""
    target = subject.make(place)
    made = target.made_up()
    if made is None:
        fail("made_up() gives nothing, so that losses and metrics cannot be tried on it.", _MEND)
    return target, *made, len(target.present(made[1]))


@holds_for("target")
def values_fit(subject: Subject, place: Path) -> None:
    """The values that it makes up are of its kind."""
    target, _, values, _ = _made_up(subject, place)
    try:
        target.check(values, "made_up()")
    except DataError as error:
        fail(f"check() refuses what made_up() gives: {error}", _MEND)


@holds_for("target")
def samples_apart(subject: Subject, place: Path) -> None:
    """Which samples have a value does not depend on the batch that they are in."""
    target, _, values, count = _made_up(subject, place)
    chosen = torch.arange(count).flip(0)
    expect(
        torch.equal(target.present(tree_index(values, chosen)), target.present(values)[chosen]),
        "present() of the same samples in another order is not the same in that order.",
        "Let present() look at each sample by itself: bool [B].",
    )


@holds_for("target")
def predictions_are_json(subject: Subject, place: Path) -> None:
    """It gives a prediction for each sample, of JSON values, and a cell for each column of a table."""
    target, outputs, _, count = _made_up(subject, place)
    made = target.predictions(outputs, top=2)
    expect(len(made) == count, f"{len(made)} predictions for {count} samples.", "Give one for each, in order.")
    try:
        json.dumps([each.value for each in made], allow_nan=False)
    except (TypeError, ValueError) as error:
        fail(f"a prediction is no JSON value: {error}.", "Give numbers, texts, lists and dicts: `tolist()`, `float()`.")
    cells, columns = len(target.cells(made[0])), len(target.columns(2))
    expect(cells <= columns, f"{cells} cells for {columns} columns.", "Let cells() and columns() agree.")


@holds_for("target")
def kept_of_each_sample(subject: Subject, place: Path) -> None:
    """What it keeps in predictions/ is tensors of as many samples as there are, and passes its own check."""
    target, outputs, values, count = _made_up(subject, place)
    packed = target.pack(outputs, values)
    if packed is None:
        return
    for tree in packed:
        for leaf in _leaves(tree):
            expect(
                _samples(leaf) == count,
                f"pack() gives {type(leaf).__name__}, where a tensor or Ragged of {count} samples is needed.",
                "Keep something of each sample, in order.",
            )
    target.check_packed(*packed, "predictions")


def _samples(leaf: Any) -> int | None:
    counted = isinstance(leaf, Ragged) or (isinstance(leaf, torch.Tensor) and leaf.ndim)
    return len(leaf) if counted else None


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [leaf for each in tree for leaf in _leaves(each)] if isinstance(tree, list | tuple) else [tree]
