"""Kinds of target are told apart by nobody but themselves, and read by the kinds that are installed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch

from ftrun import Classes, DataError, FtrunError, Labels, PluginError, Prediction, Ragged, Target, Values
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.contract import check_part
from ftrun.plugins.installed import Broken, Plugin
from ftrun.runs import recorded
from ftrun.runs.targetkinds import targets_of
from ftrun.runs.treefile import flat, of_length, unflat

ROOT = Path(__file__).parents[2]
ASKED = re.compile(r"isinstance\([a-z_.]+, *\(?(?:[\w.]+ *[|,] *)*(?:ftrun\.)?(?:Classes|Labels|Values)\b")


def test_nothing_asks_of_which_kind_a_target_is() -> None:
    asking = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("core/src", "plugins", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if path.parent != ROOT / "core/src/ftrun/contracts/targets"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ASKED.search(line)
    ]
    assert not asking


class Marks(Target):
    """Some numbers of each sample."""

    kind: Literal["marks"] = "marks"
    most: int = 3

    def faults(self, values: Ragged) -> Iterator[tuple[int, str]]:
        return ((at, f"has {n} marks.") for at, n in enumerate(values.lengths.tolist()) if n > self.most)

    def predictions(self, decoded: Any, *, top: int = 1) -> list[Prediction]:
        return [Prediction({"marks": each}) for each in decoded.tolist()]


def plugin(*parts: Any, name: str = "ftrun-marks") -> Plugin:
    """A plugin with these parts, as it is once loaded."""
    return Plugin(name, "1.0", "marks", "ftrun_marks", parts=parts)


def test_a_short_kind_has_defaults_for_the_rest() -> None:
    marks = Marks()
    assert marks.collate([torch.tensor([1, 2]), torch.tensor([3, 4])]).tolist() == [[1, 2], [3, 4]]
    values = Ragged.of([torch.ones(2), torch.ones(5), torch.ones(4)])
    assert marks.present(values).tolist() == marks.complete(values).tolist() == [True] * 3
    assert not Marks.may_be_missing()
    assert Values.may_be_missing()
    with pytest.raises(DataError, match=r"train: sample 1 has 5 marks. Samples that are wrong in all: 2."):
        marks.check(values, "train")
    with pytest.raises(DataError, match=r"train: sample 70 has 5 marks."):
        marks.check(values, "train", [7, 70, 700])
    marks.check(values.index(torch.tensor([0])), "train")
    assert marks.same(values, values).all()
    assert marks.evaluated(values, values, whole=True)[1].lengths.tolist() == [2, 5, 4]
    assert (marks.pack(values, values), marks.made_up(), marks.extension("report.section")) == (None, None, None)
    (made,) = marks.predictions(torch.tensor([2.0]))
    assert (made.value, made.name, made.score, marks.texts(made)) == ({"marks": 2.0}, "marks", 2.0, ['{"marks": 2.0}'])
    assert (marks.columns(3), marks.cells(made)) == (["prediction"], ['{"marks": 2.0}'])
    assert Prediction([1, 2]).scores == {}


def test_an_extension_is_imported_when_it_is_used() -> None:
    class Extended(Marks):
        extensions: ClassVar = {"report.section": "json:dumps"}

    assert Extended().extension("report.section")([1]) == "[1]"


def test_files_are_read_with_the_kinds_that_are_installed() -> None:
    catalogue = Catalogue([plugin(Marks)])
    described = {"marks": Marks(most=5).model_dump(mode="json"), "label": Classes(names=("a",)).model_dump(mode="json")}
    assert targets_of(described, [Marks]) == {"marks": Marks(most=5), "label": Classes(names=("a",))}
    record = {"input": {}, "targets": described, "micro_batch": None}
    read = recorded.checked(recorded.NetRecord, record, Path("net.json"), lambda: catalogue)
    assert read.targets == {"marks": Marks(most=5), "label": Classes(names=("a",))}
    wrong = {**record, "targets": {"marks": {"kind": "marks", "most": "five"}}}
    with pytest.raises(FtrunError, match=r"net.json: is damaged: .*targets.marks.marks.most: input should be a valid"):
        recorded.checked(recorded.NetRecord, wrong, Path("net.json"), lambda: catalogue)


def test_core_kinds_need_no_plugins() -> None:
    def unused() -> Catalogue:
        raise AssertionError

    record = {"input": {}, "targets": {"x": Labels(names=("a",)).model_dump(mode="json")}}
    assert recorded.checked(recorded.NetRecord, record, Path("net.json"), unused).targets == {"x": Labels(names=("a",))}
    assert recorded.checked(recorded.NetRecord, {"input": {}, "targets": {}}, Path("net.json"), unused).targets == {}


def test_a_kind_that_is_not_installed_is_told_with_what_has_it() -> None:
    targets = {"marks": {"kind": "marks"}}
    record = {"input": {}, "targets": targets, "plugins": [{"role": "target", "name": "marks"} | ORIGIN]}
    with pytest.raises(PluginError) as told:
        recorded.checked(recorded.NetRecord, record, Path("net.json"), lambda: Catalogue([]))
    assert str(told.value) == (
        "this run predicts a target of the kind 'marks', which comes from ftrun-marks 1.0, which is not installed. "
        "Run: pip install ftrun-marks"
    )
    with pytest.raises(PluginError, match="'marks', which no installed plugin offers"):
        recorded.checked(recorded.NetRecord, {**record, "plugins": []}, Path("net.json"), lambda: Catalogue([]))


ORIGIN = {"distribution": "ftrun-marks", "version": "1.0"}


def test_a_plugin_may_not_take_a_kind_of_the_cores() -> None:
    class Mine(Marks):
        kind: Literal["classes"] = "classes"  # type: ignore[assignment]

    catalogue = Catalogue([plugin(Mine)])
    with pytest.raises(
        PluginError, match=r"target 'classes' comes from both ftrun .* and ftrun-marks 1.0. Uninstall it"
    ):
        catalogue.check_clash("target", "classes")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"kind": (str, "x")}, "has no kind"),
        ({"kind": (Literal["x"], ...)}, "its kind needs a default"),
    ],
)
def test_a_kind_that_files_could_not_name_is_broken(fields: Any, fault: str) -> None:
    from pydantic import create_model

    base = type("Base", (Target,), {"faults": Marks.faults, "predictions": Marks.predictions})
    with pytest.raises(Broken, match=fault):
        check_part("ftrun_targets", create_model("Odd", __base__=base, **fields))


TREES = [
    torch.arange(3),
    Ragged.of([torch.ones(2, 4), torch.zeros(0, 4), torch.ones(1, 4)]),
    {"boxes": Ragged.of([torch.ones(2), torch.ones(1), torch.ones(1)]), "a.b/c:d 目": torch.arange(3)},
    [torch.arange(3), {"0": torch.arange(3), "values": torch.arange(3), "": torch.arange(3), "%": torch.arange(3)}],
    {"values": torch.arange(3), "lengths": torch.arange(3)},
]


@pytest.mark.parametrize("tree", TREES, ids=["tensor", "ragged", "mapping", "list", "halves"])
def test_trees_are_kept_as_named_tensors(tree: Any) -> None:
    def same(one: Any, other: Any) -> bool:
        if isinstance(one, Ragged):
            return isinstance(other, Ragged) and same([one.values, one.lengths], [other.values, other.lengths])
        if isinstance(one, torch.Tensor):
            return torch.equal(one, other)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(same, one, other))
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)

    named = dict(flat(tree))
    assert all("/" not in place for place in named)
    assert same(tree, unflat(named))
    assert of_length(unflat(named), 3)
    assert not of_length(tree, 4)
