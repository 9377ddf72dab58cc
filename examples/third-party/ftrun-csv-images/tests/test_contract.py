"""The plugin keeps ftrun's contract: one test for each property and part; and what is its own."""

import csv
from pathlib import Path
from typing import Any

import pytest
from ftrun_csv_images import CsvImagesDataset
from PIL import Image

import ftrun
from ftrun_devkit import check_plugin, tiny_run

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def make_data(place: Path) -> dict[str, Any]:
    """36 plain images of three colours, no two the same, and the CSV file that lists them."""
    with (place / "list.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "class"])
        for number in range(12):
            for name, colour in COLOURS.items():
                image = f"{name} {number}.png"  # a path with a space
                shade = tuple(part + 2 * number for part in colour)
                Image.new("RGB", (20 + number, 24), shade).save(place / image)
                table.writerow([image, name])
    return {"path": str(place / "list.csv")}


test_contract = check_plugin("ftrun_csv_images", options={"csv-images": make_data})


def from_text(place: Path, text: str, **options: Any) -> ftrun.Splits:
    """The dataset of a CSV file that says `text`; a.png to c.png are there."""
    for name in "abc":
        Image.new("L", (8, 8), ord(name)).save(place / f"{name}.png")
    (place / "list.csv").write_text(text, encoding="utf-8")
    return CsvImagesDataset(name="csv-images", path=place / "list.csv", **options).build()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column 'image'. The columns are: none"),
        ("image,clas\na.png,x\n", "line 1: there is no column 'class'. Did you mean 'clas'?"),
        ("image,class\n", "has no rows"),
        ("image,class\na.png,x\n\nb.png,y\n", "line 3: the row is empty"),
        ("image,class\na.png,x\n,y\n", "line 3: column 'image' is empty"),
        ("image,class\na.png,x\nb.png\n", "line 3: the row has 1 cells"),
        ('image,class,note\na.png,x,"two\nlines"\nd.png,y,\n', "line 4: there is no file"),
        ("image,class\na.png,x\na.png,y\n", "line 3: .* already on line 2"),
        ('image,class\na.png,x\n"b.png"x,y\n', "line 3: this is no CSV row"),
        ("image,class\na.png,x\nb.png,x\n", "one class alone"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ftrun.DataError, match=message.replace("?", r"\?")):
        from_text(tmp_path, text)


def test_a_split_column_decides_and_classes_keep_their_order(tmp_path: Path) -> None:
    text = "file;kind;part\na.png;x;test\nb.png;y;train\nc.png;x;train\n"
    columns = {"image_column": "file", "class_column": "kind", "split_column": "part", "delimiter": ";"}
    splits = from_text(tmp_path, text, **columns, classes=("y", "x"))
    assert splits.val is None
    assert splits.train.columns["label"].tolist() == [0, 1]
    assert splits.test is not None
    assert splits.test.columns["label"].tolist() == [1]
    with pytest.raises(ftrun.DataError, match=r"line 2: 'tests' is no split.*Did you mean 'test'"):
        from_text(tmp_path, text.replace("test", "tests"), **columns)


def test_an_image_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    splits = from_text(tmp_path, "image,class,split\na.png,x,train\nb.png,y,train\n", split_column="split")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ftrun.DataError, match=r"line 3: .*b\.png cannot be read"):
        splits.train[1]


def test_colours_are_learnt(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, dataset={"name": "csv-images", **make_data(tmp_path)})
    first, last = run.metrics
    assert last["train/loss"] < first["train/loss"]
