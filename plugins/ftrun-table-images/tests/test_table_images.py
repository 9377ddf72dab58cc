import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import ftrun
from ftrun_devkit import tiny_run
from ftrun_table_images import TableImages


def part(path: Path, **options: Any) -> TableImages:
    given = {"name": "table-images", "path": str(path), "image": "file", "target": "shade", **options}
    return TableImages.model_validate_json(json.dumps(given, default=str))


def images(folder: Path, count: int) -> list[tuple[str, str]]:
    """Files of a grey that rises, and their shades."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        name = f"{number}, grey.png"
        Image.new("RGB", (8, 8), (255 * number // count,) * 3).save(folder / name)
        rows.append((name, "dark" if number < count // 2 else "light"))
    return rows


def listing(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("shade,file\n" + "".join(f'{shade},"{name}"\n' for name, shade in rows), encoding="utf-8")
    return path


def test_images_are_what_the_rows_name(tmp_path: Path) -> None:
    rows = images(tmp_path / "all" / "inner", 10)
    path = listing(tmp_path / "all" / "list.csv", [(f"inner/{name}", shade) for name, shade in rows])
    splits = part(path, test_fraction=0).build()
    assert splits.targets == {"label": ftrun.Classes(names=("dark", "light"))}
    for index, (_, shade) in enumerate(rows):
        image, targets = splits.train[index]
        assert (image.dtype, image.shape, int(image[0, 0, 0])) == (torch.uint8, (3, 8, 8), 255 * index // 10)
        assert splits.targets["label"].names[int(targets["label"])] == shade


def test_a_folder_of_their_own_and_absolute_paths(tmp_path: Path) -> None:
    rows = images(tmp_path / "images", 4)
    (tmp_path / "lists").mkdir()
    path = listing(tmp_path / "lists" / "list.csv", [*rows[:3], (str(tmp_path / "images" / rows[3][0]), rows[3][1])])
    splits = part(path, images=tmp_path / "images", test_fraction=0).build()
    assert len(splits.train) == 4
    assert int(splits.train[3][0][0, 0, 0]) == 191


def test_an_image_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    rows = images(tmp_path, 4)
    path = listing(tmp_path / "list.csv", [*rows, ("3, gray.png", "dark"), ("x.png", "dark")])
    with pytest.raises(ftrun.DataError) as caught:
        part(path, test_fraction=0).build()
    assert str(caught.value) == (
        f"{path}, line 6: there is no image {tmp_path / '3, gray.png'}. Did you mean '3, grey.png'? Missing in all: 2."
    )
    listing(path, [*rows, ("", "dark")])
    with pytest.raises(ftrun.DataError, match=r"list.csv, line 6: 'file' is empty"):
        part(path, test_fraction=0).build()
    listing(path, [*rows, (".", "dark")])
    with pytest.raises(ftrun.DataError, match=r"list.csv, line 6: there is no image"):
        part(path, test_fraction=0).build()


def test_a_file_that_is_no_image_is_told_when_it_is_read(tmp_path: Path) -> None:
    rows = images(tmp_path, 4)
    (tmp_path / rows[2][0]).write_text("no image")
    split = part(listing(tmp_path / "list.csv", rows), test_fraction=0).build().train
    with pytest.raises(ftrun.DataError, match=rows[2][0]):
        split[2]


def test_several_targets_some_of_them_missing(tmp_path: Path) -> None:
    rows = images(tmp_path, 3)
    lines = [f'"{name}",{shade},{width}' for (name, shade), width in zip(rows, ("1.5", "", "2"), strict=True)]
    path = tmp_path / "list.csv"
    path.write_text("file,shade,width\n" + "\n".join(lines))
    targets = {"shade": "classes", "width": "values"}
    train = part(path, target=None, targets=targets, test_fraction=0).build().train
    expected = torch.tensor([[1.5], [math.nan], [2]], dtype=torch.float64)
    torch.testing.assert_close(train.columns["width"], expected, equal_nan=True)
    assert [train.sample_name(index) for index in range(3)] == [name for name, _ in rows]


def test_the_fingerprint_is_of_the_images_too(tmp_path: Path) -> None:
    rows = images(tmp_path, 4)
    path = listing(tmp_path / "list.csv", rows)
    split = part(path, test_fraction=0).build().train
    before = split.fingerprint
    copy = pickle.loads(pickle.dumps(split))
    assert copy.fingerprint == before
    assert torch.equal(copy[1][0], split[1][0])
    Image.new("RGB", (8, 8)).save(tmp_path / rows[3][0], compress_level=0)
    assert part(path, test_fraction=0).build().train.fingerprint != before


def test_a_run_learns_several_targets_with_some_missing(tmp_path: Path) -> None:
    rows = images(tmp_path, 200)
    path = tmp_path / "list.csv"
    lines = [
        f'"{name}",{"" if number % 7 == 0 else shade},{"" if number % 5 == 0 else number / 10}'
        for number, (name, shade) in enumerate(rows)
    ]
    path.write_text("file,shade,grey\n" + "\n".join(lines))
    targets = {"shade": "classes", "grey": "values"}
    run = tiny_run(
        tmp_path,
        dataset={"name": "table-images", "path": str(path), "image": "file", "targets": targets},
        loss={"shade": "cross-entropy", "grey": "mse"},
        metrics=["accuracy", "mae"],
        train={"epochs": 8, "batch_size": 8, "precision": "fp32", "memory_format": "contiguous"},
    )
    assert run.results["test"]["shade/accuracy"] >= 0.8
    assert run.results["test"]["grey/mae"] < 4  # of 20; their mean alone has 5
