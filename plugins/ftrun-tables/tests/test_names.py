"""Labels as pandas, spreadsheets and people write them: one class, or a note, or an error that says what to do."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import ftrun
from ftrun_text import Csv, Jsonl


def part(kind: Any, path: Path, content: str, **options: Any) -> ftrun.Dataset:
    path.write_text(content, encoding="utf-8")
    given = {"path": str(path), "text": "text", "target": "label", "test_fraction": 0, **options}
    given = {
        "name": "csv" if kind is Csv else "jsonl",
        **{key: each for key, each in given.items() if each is not None},
    }
    return kind.model_validate_json(json.dumps(given))


def csv(path: Path, *labels: str, kind: Any = "classes", **options: Any) -> ftrun.Splits:
    content = "text,label\n" + "".join(f'a{number},"{label}"\n' for number, label in enumerate(labels))
    return part(Csv, path / "t.csv", content, target=None, targets={"label": kind}, **options).build()


def jsonl(path: Path, labels: list[Any], **options: Any) -> ftrun.Splits:
    content = "".join(json.dumps({"text": f"a{number}", "label": each}) + "\n" for number, each in enumerate(labels))
    return part(Jsonl, path / "t.jsonl", content, **options).build()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1, 1.0, "1", "1.0", 0, 0.0], ("0", "1")),
        ([1, True, 0, False, "TRUE", "False"], ("0", "1")),
        ([True, "true", "TRUE", "False", False], ("false", "true")),
        (["cat", "cat\u200b", "\ufeffcat", "ca\u00adt", "dog\u00a0", " dog", "cat\u200d"], ("cat", "dog")),
        (["New York", "New\u00a0York", "x"], ("New York", "x")),
        (["caf\u00e9", "cafe\u0301", "x"], ("caf\u00e9", "x")),
        (["\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u062e"], ("\u0645\u06cc\u062e", "\u0645\u06cc\u200c\u062e")),
        ([1.5, 1, 2], ("1", "1.5", "2")),
        (["1.0", "2.0"], ("1.0", "2.0")),  # the only spelling stays
        (["+1", "-1", "C", "C++"], ("+1", "-1", "C", "C++")),
        (["Cat", "cat"], ("Cat", "cat")),  # the core has a note on these
    ],
)
def test_spellings_of_one_name_are_one_class(labels: list[Any], names: tuple[str, ...], tmp_path: Path) -> None:
    splits = jsonl(tmp_path, labels)
    assert splits.targets["label"].names == names
    assert set(splits.train.columns["label"].tolist()) == set(range(len(names)))


def test_a_spelling_that_stands_in_test_alone_is_known(tmp_path: Path) -> None:
    content = "text,label,s\na,1,train\nb,0,train\nc,1.0,test\nd,True,val\n"
    splits = part(Csv, tmp_path / "t.csv", content, split="s", test_fraction=None).build()
    assert splits.targets["label"].names == ("0", "1")
    assert (splits.test.columns["label"].tolist(), splits.val.columns["label"].tolist()) == ([1], [1])
    assert list(splits.notes) == ["target 'label': '1.0', 'True' and '1' are taken for one class"]


def test_what_is_merged_though_it_looks_the_same_is_a_note(tmp_path: Path) -> None:
    notes = jsonl(tmp_path, ["cat", "cat\u200b", "dog\ufeff", " dog"]).notes
    assert list(notes) == [
        r"target 'label': 'cat\u200b' and 'cat' are taken for one class",
        r"target 'label': 'dog\ufeff' and 'dog' are taken for one class",
    ]
    assert not jsonl(tmp_path, ["cat", " cat ", "dog", "\u00e9", "e\u0301"]).notes


def test_labels_of_several_columns_and_separated_ones_are_merged_alike(tmp_path: Path) -> None:
    splits = csv(tmp_path, "a;b", "b\u200b;1.0", "1", kind="labels")
    assert splits.targets["label"].names == ("1", "a", "b")
    assert splits.train.columns["label"].tolist() == [[0, 1, 1], [1, 0, 1], [1, 0, 0]]


def test_words_that_tools_write_for_nothing_are_named(tmp_path: Path) -> None:
    labels = ["nan", "cat", "None", "dog", "nan", "NULL"]
    (note,) = csv(tmp_path, *labels).notes
    assert note == (
        "target 'label': 'NULL' (1 rows), 'None' (1 rows), 'nan' (2 rows) are names here as others are. If they mean "
        'that there is no value, set `missing` to ["", "NULL", "None", "nan"]'
    )
    splits = csv(tmp_path, *labels, missing=["", "NULL", "None", "nan"])
    assert (splits.targets["label"].names, splits.notes) == (("cat", "dog"), ())
    assert csv(tmp_path, "nan", "cat", "dog", missing=["\u200bnan"]).targets["label"].names == ("cat", "dog")


def test_an_empty_cell_may_hold_signs_that_are_not_seen(tmp_path: Path) -> None:
    splits = csv(tmp_path, "x", "\u200b", "\u00a0", "\ufeff ", "y")
    assert splits.train.columns["label"].tolist() == [0, -1, -1, -1, 1]


@pytest.mark.parametrize("yes", ["1.0", "TRUE", " true ", "1", "True"])
def test_labels_of_0_and_1_are_read_as_pandas_and_spreadsheets_write_them(yes: str, tmp_path: Path) -> None:
    kind = {"kind": "labels", "columns": ["label"]}
    values = csv(tmp_path, yes, "0.0", "FALSE", "", kind=kind).train.columns["label"].flatten().tolist()
    assert values[:3] == [1, 0, 0]
    assert math.isnan(values[3])


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("1,5", "Write numbers as 1234.5 is: a point before the decimals, nothing between thousands."),
        ("1.234,5", "Write numbers as 1234.5 is"),
        ("1 234", "Write numbers as 1234.5 is"),
        ("nan", 'add it to `missing`: ["", "nan"].'),
        ("<NA>", 'add it to `missing`: ["", "<NA>"].'),
        ("five", "which is no number."),
    ],
)
def test_a_cell_that_is_no_number_says_how_to_write_it(cell: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ftrun.DataError, match=r"line 3: has .* in 'label', which is no number\.") as caught:
        csv(tmp_path, "1", cell, kind="values")
    assert hint in str(caught.value)


# Several labels in a cell


@pytest.mark.parametrize("other", [",", "|", "/", "\t", ", ", "\n"])
def test_labels_with_another_separator_than_the_one_by_default_are_refused(other: str, tmp_path: Path) -> None:
    cells = [other.join(each) for each in ("ab", "b", "cab", "a")]
    with pytest.raises(ftrun.DataError, match="looks like several labels with") as caught:
        csv(tmp_path, *cells, kind="labels")
    assert f"Set it to {other.strip(' ')!r}, or to ';' if these" in str(caught.value)
    right = csv(tmp_path, *cells, kind={"kind": "labels", "separator": other.strip(" ")})
    assert (right.targets["label"].names, right.notes) == (("a", "b", "c"), ())
    kept = csv(tmp_path, *cells, kind={"kind": "labels", "separator": ";"})
    assert len(kept.targets["label"].names) == 4
    assert "looks like several labels" in kept.notes[0]


def test_lists_as_python_writes_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ftrun.DataError, match="is a list as Python or JSON writes it"):
        csv(tmp_path, "['a', 'b']", "[]", "['b']", kind="labels")


def test_labels_that_hold_other_signs_are_labels(tmp_path: Path) -> None:
    assert not csv(tmp_path, "R&B;Washington, DC", "Washington, DC", "and/or", kind="labels").notes
    lists = jsonl(tmp_path, [["a,b", "b"], ["a"]], target=None, targets={"label": "labels"})  # exact as they are
    assert (lists.targets["label"].names, lists.notes) == (("a", "a,b", "b"), ())


def test_one_cell_with_another_separator_than_the_rest_is_a_note(tmp_path: Path) -> None:
    (note,) = csv(tmp_path, "a;b", "b,a", "c", kind="labels").notes
    assert "'b,a' in 'label' looks like several labels with ','" in note


# Numbers as classes


@pytest.mark.parametrize("count", [40, 3000])
@pytest.mark.parametrize("how", [{"test_fraction": 0}, {"test_fraction": None}, {"split": "s", "test_fraction": None}])
def test_numbers_nearly_one_each_are_no_classes_however_rows_are_split(count: int, how: Any, tmp_path: Path) -> None:
    rows = "".join(f"w{n % 5} n{n},{n / 7:.3f},{('train', 'train', 'val', 'test')[n % 4]}\n" for n in range(count))
    for options in (how, {**how, "target": None, "targets": {"label": "classes"}}):
        with pytest.raises(ftrun.DataError, match=r"nearly one each. Is 'label' the right column\?.* kind values\."):
            part(Csv, tmp_path / "t.csv", "text,label,s\n" + rows, **options).build()


def test_numbers_with_fractions_as_classes_are_a_note(tmp_path: Path) -> None:
    (note,) = csv(tmp_path, *[f"{number % 30 / 4}" for number in range(300)]).notes
    assert note.endswith("all 30 classes are numbers, such as 0.0. Numbers to be predicted are of the kind values")
    assert not csv(tmp_path, *[f"{number % 30}" for number in range(300)]).notes


# Which rows are set aside


def test_a_rare_class_of_any_target_stays_in_train(tmp_path: Path) -> None:
    rows = [(f"text {number}", "xy"[number % 2], "rare" if number == 11 else "common", "p;q" if number == 4 else "p")
            for number in range(40)]  # fmt: skip
    content = "text,first,second,third\n" + "".join(",".join(row) + "\n" for row in rows)
    targets = {"first": "classes", "second": "classes", "third": "labels"}
    for seed in range(12):
        options = {"test_fraction": 0.5, "split_seed": seed, "target": None, "targets": targets}
        splits = part(Csv, tmp_path / "t.csv", content, **options).build()
        assert splits.targets["second"].names == ("common", "rare")
        assert splits.targets["third"].names == ("p", "q")
        assert len(splits.train) + len(splits.test) == 40


def test_a_class_of_three_leaves_two_to_be_trained_on_and_for_val(tmp_path: Path) -> None:
    labels = ["a"] * 3 + ["b"] * 97
    for seed in range(5):
        train = csv(tmp_path, *labels, test_fraction=0.7, split_seed=seed).train.columns["label"]
        assert int((train == 0).sum()) >= 2


def test_equal_texts_have_equal_digests(tmp_path: Path) -> None:
    content = "text,label,s\nsame,x,train\nother,y,train\nsame,x,test\n"
    splits = part(Csv, tmp_path / "t.csv", content, split="s", test_fraction=None).build()
    assert splits.test.digests.tolist() == splits.train.digests[:1].tolist()
    assert len(splits.train.digests.unique()) == 2
    assert torch.equal(ftrun.Subset(splits.train, torch.tensor([1])).digests, splits.train.digests[1:])
