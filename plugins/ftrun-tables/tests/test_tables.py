"""Texts in CSV and JSON Lines: they load right, or the error names the line."""

import csv
import io
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ftrun
from ftrun_tables import lines
from ftrun_text import Csv, Jsonl

TWO = {"text": "text", "target": "label"}


def csv_part(path: Path | None = None, **options: Any) -> Csv:
    return Csv.model_validate_json(_json({"name": "csv", **TWO, **({"path": path} if path else {}), **options}))


def jsonl_part(path: Path | None = None, **options: Any) -> Jsonl:
    return Jsonl.model_validate_json(_json({"name": "jsonl", **TWO, **({"path": path} if path else {}), **options}))


def _json(options: dict[str, Any]) -> str:
    return json.dumps(options, default=str)  # paths


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message(part: ftrun.Dataset) -> str:
    with pytest.raises(ftrun.DataError) as caught:
        part.build()
    return str(caught.value)


def samples(split: Any, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(text, class) of each sample, read one by one."""
    return [(text, names[int(targets["label"])]) for text, targets in (split[index] for index in range(len(split)))]


def all_samples(splits: ftrun.Splits) -> list[tuple[str, str]]:
    return [each for _, split in splits.items() for each in samples(split, splits.targets["label"].names)]


# What is there is what is read


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        '"',
        '""',
        "a,b",
        "line\nbreak",
        "\r",
        "x\r\ny",
        ' "quoted" ',
        "é",
        "猫;",
        "\ufeff",
        "\x00",
        "'",
        "\u2028",
        "\x0b",
        ",",
    ]
)
texts = cells.filter(lambda text: text.strip())
labels = st.sampled_from(["red", "green", "blå", "a,b", 'qu"ote', "line\nbreak"])
encodings = st.sampled_from(
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252", "shift_jis", "gb18030"]
)


@given(
    rows=st.lists(st.tuples(texts, labels, cells), min_size=1, max_size=12),
    encoding=encodings,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    terminator=st.sampled_from(["\r\n", "\n"]),
    blank_lines=st.booleans(),
)
def test_random_csv_files_load_as_they_were_written(
    rows: list[tuple[str, str, str]],
    encoding: str,
    delimiter: str,
    quoting: int,
    terminator: str,
    blank_lines: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if terminator == "\n" and quoting == csv.QUOTE_MINIMAL:  # Python's writer then leaves a lone "\r" unquoted
        rows = [tuple(cell.replace("\r", " ") + "." for cell in row) for row in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=terminator)
    writer.writerow(["other", "text", "label"])
    for text, label, other in rows:
        writer.writerow([other, text, label])
        out.write(terminator * (3 if blank_lines else 0))
    try:
        content = out.getvalue().encode(encoding)
    except UnicodeEncodeError:
        return
    if content.decode(encoding) != out.getvalue():  # shift_jis has one code for two signs
        return
    path = written(tmp_path_factory.getbasetemp() / "random.csv", content)
    splits = csv_part(path, encoding=encoding, delimiter=delimiter, test_fraction=0).build()
    expected = [(text, label.strip()) for text, label, _ in rows]
    assert all_samples(splits) == expected
    indices = list(reversed(range(len(rows))))
    assert splits.train.__getitems__(indices)[0] == [expected[index][0] for index in indices]
    assert splits.train.lengths.tolist() == [len(text) for text, _ in expected]


@given(
    rows=st.lists(st.tuples(texts, labels), min_size=1, max_size=12),
    ascii_only=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_random_json_lines_load_as_they_were_written(
    rows: list[tuple[str, str]], ascii_only: bool, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii_only) for text, label in rows]
    path = written(tmp_path_factory.getbasetemp() / "random.jsonl", "\ufeff" + end.join(lines))
    assert all_samples(jsonl_part(path, test_fraction=0).build()) == [(text, label.strip()) for text, label in rows]


@given(
    content=st.binary(max_size=60)
    | st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\xff", b"\x00", b"  "])).map(b"".join),
    kind=st.sampled_from([csv_part, jsonl_part]),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
)
def test_any_bytes_load_or_name_the_line(
    content: bytes, kind: Any, encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    header = "text,label\n" if kind is csv_part else '{"text": "a", "label": "b"}\n'
    path = written(tmp_path_factory.getbasetemp() / "any.data", header.encode(encoding) + content)
    try:
        splits = kind(path, encoding=encoding, test_fraction=0).build()
    except ftrun.DataError as error:
        told = str(error)
        named = ", line " in told or "has no rows" in told
        assert (told.startswith(str(path)) and named) or "every training row's 'label' is missing" in told, told
    else:
        assert all(text.strip() for text, _ in all_samples(splits) if text)


def test_a_file_with_the_line_ends_of_old_macs(tmp_path: Path) -> None:
    path = written(tmp_path / "mac.csv", 'text,label\ra,x\r"b\rc",y\r')
    assert all_samples(csv_part(path, test_fraction=0).build()) == [("a", "x"), ("b\rc", "y")]


def test_quotes_can_mean_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "raw.tsv", 'text\tlabel\n"so he said\tx\nno" end\ty\n')
    splits = csv_part(path, delimiter="\t", quote=None, test_fraction=0).build()
    assert all_samples(splits) == [('"so he said', "x"), ('no" end', "y")]


def test_larger_than_a_portion(tmp_path: Path) -> None:
    rows = [(f'{number} "{"lorem" * (number % 700)}"\nend', f"{number % 3}") for number in range(2000)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("text", "label"), *rows])
    path = written(tmp_path / "large.csv", out.getvalue())
    assert path.stat().st_size > 3 * 2**20
    assert all_samples(csv_part(path, test_fraction=0).build()) == rows
    wide = written(tmp_path / "wide.csv", out.getvalue().encode("utf-16"))
    assert all_samples(csv_part(wide, encoding="utf-16", test_fraction=0).build()) == rows
    told = message(csv_part(written(tmp_path / "bad.csv", out.getvalue() + 'x,y,"z"\r\n')))
    assert f"bad.csv, line {2 * len(rows) + 2}: has 3 fields" in told


# What is wrong is told, with its line

ONE_LABEL = {"targets": {"all": {"kind": "labels", "columns": ["label"]}}}
UNKNOWN = 'text,label,s\na,cat,train\n"b\nc",cats,val\n'
RIGHT = 'text,label\n"two\nlines",x\nb,y\n'


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ("", {}, ": is empty. Expected is a header"),
        ("text,label\n", {}, ": has no rows."),
        (RIGHT + "c\n", {}, ", line 5: has 1 field, but the header has 2."),
        (RIGHT + "c,x,z\n", {}, ", line 5: has 3 fields, but the header has 2. A field that holds ','"),
        (RIGHT + 'c,"x\nd,y\n', {}, ", line 5: a quote that opens in this row is never closed."),
        (RIGHT + '"c" d,x\n', {}, ", line 5: a quoted field goes on after its closing quote."),
        (RIGHT + " ,x\n", {}, ", line 5: 'text' is empty."),
        (RIGHT.encode() + b"caf\xe9,x\n", {}, ", line 5: byte 33 of the file, 0xe9, is not utf-8. If"),
        (RIGHT.encode() + b"c\x81,x\n", {"encoding": "cp1252"}, ", line 5: byte 31 of the file, 0x81, is not cp1252."),
        (RIGHT.encode("utf-16"), {}, ": is not utf-8, but begins as utf-16 does: set `encoding` to that."),
        (RIGHT.encode("utf-8-sig"), {"encoding": "cp1252"}, ": is not cp1252, but begins as utf-8 does: set"),
        (RIGHT, {"encoding": "utf-16"}, ": has no mark of utf-16. Is it utf-16-le or utf-16-be?"),
        (RIGHT, {"text": "texts"}, ": there is no column 'texts'. Did you mean 'text'? There are 'text', 'label'."),
        (RIGHT, {"target": "lable"}, ": there is no column 'lable'. Did you mean 'label'?"),
        (RIGHT, {"split": "fold"}, ": there is no column 'fold'. There are"),
        (RIGHT, {"delimiter": ";"}, "Are they separated by ','? Set `delimiter`."),
        ("text,label,label\na,x,y\n", {}, ", line 1: the header has two columns named 'label'."),
        ("\n\ntext,text\n", {}, ", line 3: the header has two columns named 'text'."),
        ("text,label\na,\nb, \n", {}, "target 'label': every training row's 'label' is missing."),
        (RIGHT + "c,3\n", {"targets": {"label": "values"}}, ", line 2: has 'x' in 'label', which is no number."),
        ("text,label\na,1\nb,nan\n", {"targets": {"label": "values"}}, ", line 3: has 'nan' in 'label', which is"),
        ("text,label\na,1\nb,1_0\n", {"targets": {"label": "values"}}, ", line 3: has '1_0' in 'label'"),
        ("text,label\na,1\nb,1e151\n", {"targets": {"label": "values"}}, ", line 3: has '1e151' in 'label'"),
        ("text,label\na,1\nb,2\n", ONE_LABEL, ", line 3: has '2' in 'label', where a label is 0 or 1."),
        ("text,label,s\na,x,train\nb,x,tset\n", {"split": "s"}, ", line 3: has 'tset' in 's', where train, val or"),
        ("text,label,s\na,x,test\nb,x,val\n", {"split": "s"}, ": no row's 's' is train."),
        (UNKNOWN, {"split": "s"}, ", line 3: has 'cats' in 'label', but no training row has. Did you mean 'cat'?"),
        (UNKNOWN, {"split": "s", "targets": {"label": "labels"}}, ", line 3: has 'cats' in 'label', but no"),
        ("text,label\na,x\n", {"test_fraction": 0.5}, ": 1 rows are too few to set some aside for test"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_csv_file(content: str | bytes, options: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = written(tmp_path / "file.csv", content)
    options = {"target": None, **options} if "targets" in options else options
    assert told in message(csv_part(path, **options))
    assert str(path) in message(csv_part(path, **options)) or told.startswith("target")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"text": "a", "label": 1', "is not JSON: Expecting ',' delimiter: column 25."),
        ('["a", 1]', "is JSON, but not an object"),
        ('{"texts": "a", "label": 1}', "there is no column 'text'. Did you mean 'texts'?"),
        ('{"text": "a", "text": "b"}', "is not JSON: the key 'text' stands twice."),
        ('{"text": "a", "label": NaN}', "is not JSON: NaN is no number in JSON."),
        ('{"text": null, "label": 1}', "has no text in 'text', but None."),
        ('{"text": 5, "label": 1}', "has no text in 'text', but 5."),
        (r'{"text": "\ud800", "label": 1}', "has no text in 'text', but '\\ud800'."),
        ('{"text": "a", "label": {"b": 1}}', "has {'b': 1} where a name is expected."),
        (r'{"text": "a", "label": "\udfff"}', "has '\\udfff' where a name is expected."),
        ('{"text": "a", "label": ' + "[" * 100_000, "is not JSON: "),
        ('{"text": "a", "label": ' + "9" * 5000 + "}", "is not JSON: "),
    ],
)
def test_what_is_wrong_in_json_lines(line: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path / "file.jsonl", '{"text": "a\\nb", "label": "x"}\n\n' + line + "\n")
    assert f"{path}, line 3: {told}" in message(jsonl_part(path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    written(tmp_path / "reviews.csv", RIGHT)
    assert message(csv_part(tmp_path / "review.csv")) == (
        f"there is no file {tmp_path / 'review.csv'}. Did you mean 'reviews.csv'?"
    )
    assert "nowhere/x.csv" in message(csv_part(tmp_path / "nowhere/x.csv"))
    assert f"{tmp_path}: is a folder, where a file is expected. It holds 'reviews.csv'." in message(csv_part(tmp_path))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give path, or train"),
        ({"path": Path("a"), "train": Path("b")}, "give path, or train"),
        ({"path": Path("a"), "val": Path("b")}, "val and test go with train"),
        ({"train": Path("a"), "split": "s"}, "split and test_fraction go with path"),
        ({"path": Path("a"), "split": "s", "test_fraction": 0.1}, "give split or test_fraction"),
        ({"path": Path("a"), "target": None}, "give target"),
        ({"path": Path("a"), "targets": {"a": "classes"}}, "give target"),
        ({"path": Path("a"), "encoding": "utf8000"}, "there is no encoding 'utf8000'"),
        ({"path": Path("a"), "encoding": "cp037"}, "convert the file to UTF-8"),
        ({"path": Path("a"), "encoding": "base64"}, "there is no encoding 'base64'"),
        ({"path": Path("a"), "quote": ","}, "two different characters"),
        ({"path": Path("a"), "delimiter": "\n"}, "no line breaks"),
        ({"path": Path("a"), "target": None, "targets": {"a": {"kind": "classes", "columns": ["b"]}}}, "in one column"),
        ({"path": Path("a"), "target": None, "targets": {"a": {"kind": "values", "columns": ["b", "b"]}}}, "one twice"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        csv_part(**options)


# Targets


def test_several_targets_and_what_is_missing(tmp_path: Path) -> None:
    lines = [
        "text,color,price,tags,wide,high",
        "a,red,1.5,p;q,1,",
        "b,,2,,,4",
        "c, blue ,NA, q ;;p,3,4",
        "d,red,,r,5,6",
    ]
    path = written(tmp_path / "t.csv", "\n".join(lines))
    targets = {
        "color": "classes",
        "cost": {"kind": "values", "column": "price"},
        "tags": "labels",
        "size": {"kind": "values", "columns": ["wide", "high"]},
    }
    splits = csv_part(path, target=None, targets=targets, missing=["", "NA"], test_fraction=0).build()
    assert splits.targets == {
        "color": ftrun.Classes(names=("blue", "red")),
        "cost": ftrun.Values(names=("price",)),
        "tags": ftrun.Labels(names=("p", "q", "r")),
        "size": ftrun.Values(names=("wide", "high")),
    }
    values = splits.train.columns
    nan = math.nan
    assert values["color"].tolist() == [1, -1, 0, 1]
    torch.testing.assert_close(values["cost"], torch.tensor([[1.5], [2], [nan], [nan]]).double(), equal_nan=True)
    assert values["tags"].tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(
        values["size"], torch.tensor([[1, nan], [nan, 4], [3, 4], [5, 6]]).double(), equal_nan=True
    )
    assert {name: value.dtype for name, value in values.items()} == {
        "color": torch.int64, "cost": torch.float64, "tags": torch.float32, "size": torch.float64
    }  # fmt: skip


def test_no_labels_can_mean_that_they_are_not_known(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,tags\na,p|q\nb,\n")
    tags = {"kind": "labels", "separator": "|", "empty": "missing"}
    values = csv_part(path, target=None, targets={"tags": tags}, test_fraction=0).build().train.columns["tags"]
    torch.testing.assert_close(values, torch.tensor([[1.0, 1.0], [math.nan, math.nan]]), equal_nan=True)


def test_labels_in_columns_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,rude,loud\na,0,1\nb,True, 1\nc,false,\n")
    kinds = {"kind": "labels", "columns": ["rude", "loud"]}
    splits = csv_part(path, target=None, targets={"kinds": kinds}, test_fraction=0).build()
    assert splits.targets["kinds"] == ftrun.Labels(names=("rude", "loud"))
    expected = torch.tensor([[0, 1], [1, 1], [0, math.nan]])
    torch.testing.assert_close(splits.train.columns["kinds"], expected, equal_nan=True)


def test_targets_in_json_are_numbers_lists_and_null(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "good": True, "stars": 5, "tags": ["x", "y"], "price": 2},
        {"text": "b", "good": False, "stars": None, "tags": [], "price": 0.5},
        {"text": "c", "good": True, "stars": 4, "tags": None, "price": None},
    ]
    path = written(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    targets = {"good": "classes", "stars": "classes", "tags": "labels", "price": "values"}
    splits = jsonl_part(path, target=None, targets=targets, test_fraction=0).build()
    assert splits.targets["good"].names == ("false", "true")
    assert splits.targets["stars"].names == ("4", "5")
    values = splits.train.columns
    assert (values["good"].tolist(), values["stars"].tolist()) == ([1, 0, 1], [1, -1, 0])
    nan = math.nan
    torch.testing.assert_close(values["tags"], torch.tensor([[1, 1], [0, 0], [nan, nan]]), equal_nan=True)
    torch.testing.assert_close(values["price"], torch.tensor([[2], [0.5], [nan]]).double(), equal_nan=True)


def test_names_that_look_the_same_are_one_class(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,label\na,größe\nb,gro\u0308ße\n".replace("größe", "gr\u00f6ße"))
    assert csv_part(path, test_fraction=0).build().targets["label"].names == ("gr\u00f6ße",)


def test_a_class_for_nearly_each_row_is_the_wrong_column(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,label\n" + "".join(f"a,{number}\n" for number in range(1200)))
    assert "1,200 classes in 1,200 rows are nearly one each. Is 'label' the right column?" in message(
        csv_part(path, test_fraction=0)
    )


def test_empty_texts_are_kept_or_left_out_if_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,label\n,x\nb,y\n  ,y\nd,x\n")
    kept = csv_part(path, empty_texts="keep", test_fraction=0).build()
    assert all_samples(kept) == [("", "x"), ("b", "y"), ("  ", "y"), ("d", "x")]
    assert all_samples(csv_part(path, empty_texts="skip", test_fraction=0).build()) == [("b", "y"), ("d", "x")]


# Splits


def test_splits_by_file(tmp_path: Path) -> None:
    paths = {
        "train": written(tmp_path / "a.csv", "text,label\na,y\nb,x\n"),
        "val": written(tmp_path / "b.csv", "label,text\ny,c\n"),  # columns go by name
        "test": written(tmp_path / "c.csv", "text,label\nd,x\ne,y\n"),
    }
    splits = csv_part(**paths).build()
    assert {name: samples(split, ("x", "y")) for name, split in splits.items()} == {
        "train": [("a", "y"), ("b", "x")], "val": [("c", "y")], "test": [("d", "x"), ("e", "y")]
    }  # fmt: skip
    written(paths["test"], "text,label\nd,x\ne,z\n")
    assert f"{paths['test']}, line 3: has 'z' in 'label', but no training row has." in message(csv_part(**paths))


def test_splits_by_column(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "fold,text,label\nTrain,a,x\ndev,b,x\ntrain,c,y\n test ,d,y\nvalidation,e,y\n")
    splits = csv_part(path, split="fold").build()
    assert {name: [split[index][0] for index in range(len(split))] for name, split in splits.items()} == {
        "train": ["a", "c"], "val": ["b", "e"], "test": ["d"]
    }  # fmt: skip


def test_splits_by_fraction_are_stratified_and_stay(tmp_path: Path) -> None:
    rows = [(f"text {number}", "rare" if number % 10 == 0 else "common") for number in range(400)]
    content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    path = written(tmp_path / "t.csv", content)
    splits = csv_part(path).build()
    assert (len(splits.train), len(splits.test), splits.val) == (360, 40, None)
    assert splits.test.columns["label"].bincount().tolist() == [36, 4]
    assert set(all_samples(splits)) == set(rows)
    test = set(samples(splits.test, splits.targets["label"].names))
    again = csv_part(
        written(tmp_path / "u.csv", "text,label\n" + "".join(f"{t},{c}\n" for t, c in reversed(rows)))
    ).build()
    assert set(samples(again.test, again.targets["label"].names)) == test  # whatever their order
    other = csv_part(path, split_seed=1).build()
    assert set(samples(other.test, other.targets["label"].names)) != test
    more = csv_part(written(tmp_path / "v.csv", content + "".join(f"more {n},common\n" for n in range(40)))).build()
    kept = set(samples(more.test, more.targets["label"].names)) & test
    assert len(kept) >= 36  # rows that are added leave the others where they are, but for a few at the border


def test_equal_texts_are_not_torn_apart(tmp_path: Path) -> None:
    content = "text,label\n" + "".join(f"text {number % 50},{'xy'[number % 2]}\n" for number in range(500))
    splits = csv_part(written(tmp_path / "t.csv", content), test_fraction=0.2).build()
    train, test = ({text for text, _ in samples(split, ("x", "y"))} for split in (splits.train, splits.test))
    assert len(train & test) <= 2  # of each class, the one where the border is


@given(
    strata=st.lists(st.integers(-1, 3), min_size=1, max_size=60),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 9),
)
def test_each_stratum_gives_its_share(strata: list[int], fraction: float, seed: int) -> None:
    from ftrun_tables.shares import set_aside

    draws = torch.randint(2**60, (len(strata),), generator=torch.Generator().manual_seed(seed))
    chosen = set_aside(torch.tensor(strata), draws, fraction)
    sizes = {each: strata.count(each) for each in set(strata)}
    shares = {each: sum(c for c, s in zip(chosen.tolist(), strata, strict=True) if s == each) for each in sizes}
    most = sum(size - 1 for size in sizes.values())
    assert sum(shares.values()) == min(max(1, round(len(strata) * fraction)), most)
    assert all(shares[each] < sizes[each] for each in sizes)


# In use


def test_splits_travel_to_workers_open_or_not(tmp_path: Path) -> None:
    split = csv_part(written(tmp_path / "t.csv", RIGHT), test_fraction=0).build().train
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(split))
        assert copy[0][0] == split[0][0] == "two\nlines"
        assert copy.fingerprint == split.fingerprint


def test_a_file_that_changes_while_it_is_in_use_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", RIGHT)
    split = csv_part(path, test_fraction=0).build().train
    written(path, RIGHT.replace("two", "2"))
    for _ in range(2):
        with pytest.raises(ftrun.DataError, match=r"t.csv, byte 11: has changed while it was in use"):
            split[0]


def test_a_quote_that_is_not_closed_does_not_take_in_a_large_file(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", 'text,label\na,x\n"' + ("b" * 999 + "\n") * 17_000)
    told = f"{path}, line 3: a field has more than 16,777,216 characters. Is a quote in this row not closed?"
    assert message(csv_part(path)) == told


def test_what_has_no_line_ends_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_LONGEST", 2**20)
    path = written(tmp_path / "t.csv", "text,label\n" + "x" * 2**22)
    assert message(csv_part(path)) == f"{path}, line 2: does not end within 64 MiB. Is this a text file?"


def test_fingerprints_differ_where_inputs_do(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "text,label,other\n" + "".join(f"a{n},x,b\n" for n in range(20)))
    splits = csv_part(path).build()
    prints = [splits.train.fingerprint, splits.test.fingerprint, csv_part(path, text="other").build().train.fingerprint]
    prints += [
        csv_part(path, split_seed=5).build().train.fingerprint,
        csv_part(path, quote=None).build().train.fingerprint,
    ]
    assert len(set(prints)) == 5
    assert csv_part(path).build().train.fingerprint == prints[0]
    written(path, path.read_text().replace("a1,", "a2,"))
    assert csv_part(path).build().train.fingerprint != prints[0]


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "t.csv", RIGHT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(csv_part(Path("~/t.csv"), test_fraction=0).build().train) == 2


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    code = "import ftrun_text, sys; print({'torch', 'tokenizers', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
