"""Which images are found, of which class, in which split. No image is opened here, so the files are empty."""

import json
import os
import random
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import ftrun
import ftrun_folder
from ftrun_folder import ImageFolder, layout


def touch(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def part(path: Path, **options: Any) -> ImageFolder:
    return ImageFolder.model_validate_json(json.dumps({"name": "image-folder", "path": str(path), **options}))


def found(root: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    """By split, each image's class and its path under `root`."""
    splits = part(root, **options).build()
    names = splits.targets["label"].names
    return {
        split: [
            (names[label], Path(path).relative_to(root).as_posix())
            for path, label in zip(data.files, data.columns["label"].tolist(), strict=True)
        ]
        for split, data in splits.items()
    }


def message(root: Path, **options: Any) -> str:
    with pytest.raises(ftrun.DataError) as caught:
        part(root, **options).build()
    return str(caught.value)


def animals(*counts: int) -> list[str]:
    return [f"{name}/{i}.jpg" for name, count in zip(("ant", "bee", "cat"), counts, strict=False) for i in range(count)]


def test_the_dataset_is_offered() -> None:
    assert list(ftrun_folder.ftrun_datasets()) == [ImageFolder]


def test_three_splits(tmp_path: Path) -> None:
    touch(tmp_path, ["train/cat/2.jpg", "train/cat/10.jpg", "train/ant/1.jpg", "val/cat/1.jpg", "test/ant/1.jpg"])
    assert found(tmp_path) == {
        "train": [("ant", "train/ant/1.jpg"), ("cat", "train/cat/10.jpg"), ("cat", "train/cat/2.jpg")],
        "val": [("cat", "val/cat/1.jpg")],  # its only class keeps the label that it has in train
        "test": [("ant", "test/ant/1.jpg")],
    }


def test_splits_that_are_not_there_are_left_to_the_core(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(1, 1)])
    splits = part(tmp_path).build()
    assert splits.val is splits.test is None


def test_one_tree_gives_a_tenth_each_to_val_and_test(tmp_path: Path) -> None:
    touch(tmp_path, animals(30, 20, 10))
    counts = {split: Counter(name for name, _ in images) for split, images in found(tmp_path).items()}
    assert counts == {
        "train": {"ant": 24, "bee": 16, "cat": 8},
        "val": {"ant": 3, "bee": 2, "cat": 1},
        "test": {"ant": 3, "bee": 2, "cat": 1},
    }


def test_fractions_and_seed_of_one_tree(tmp_path: Path) -> None:
    touch(tmp_path, animals(20, 20))
    first = found(tmp_path, split={"val": 0, "test": 0.25})
    assert {split: len(images) for split, images in first.items()} == {"train": 30, "test": 10}
    assert found(tmp_path, split={"val": 0, "test": 0.25}) == first
    assert found(tmp_path, split={"val": 0, "test": 0.25, "seed": 1})["test"] != first["test"]


def test_a_new_image_moves_few_others(tmp_path: Path) -> None:
    before = found(touch(tmp_path, animals(100, 100)))
    after = found(touch(tmp_path, ["ant/new.jpg"]))
    assert len(set(before["test"]) & set(after["test"])) > len(before["test"]) / 2


@pytest.mark.parametrize("split", [{"val": 0.5, "test": 0.5}, {"val": 1}, {"test": -0.1}, {"train": 0.8}])
def test_impossible_fractions(split: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        part(tmp_path, split=split)


def test_fractions_do_not_go_with_folders_that_are_split(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(1, 1)])
    with pytest.raises(ftrun.SpecError, match="Leave it out"):
        part(tmp_path, split={"test": 0.2}).build()


def test_limit_holds_for_each_split_and_keeps_proportions(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(40, 20, 20)])
    touch(tmp_path, [f"test/{name}" for name in animals(3, 2, 1)])
    limited = found(tmp_path, limit=8)
    assert Counter(name for name, _ in limited["train"]) == {"ant": 4, "bee": 2, "cat": 2}
    assert len(limited["test"]) == 6
    assert found(tmp_path, limit=8) == limited


def test_a_limit_leaves_the_classes_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(5, 5, 5)])
    splits = part(tmp_path, limit=1).build()
    assert splits.targets["label"].names == ("ant", "bee", "cat")
    assert len(splits.train) == 1


def test_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    images = ["ant/A.JPG", "ant/b.jpeg", "bee/c.Png", "bee/d.webp", "bee/e.BMP"]
    others = ["ant/Thumbs.db", "ant/.DS_Store", "ant/._A.JPG", ".cache/x.jpg", "bee/notes.txt", "bee/jpg", "cover.jpg"]
    touch(tmp_path, [f"train/{name}" for name in images + others])
    assert [path for _, path in found(tmp_path)["train"]] == [f"train/{name}" for name in images]


def test_folders_in_a_class_folder_are_of_that_class(tmp_path: Path) -> None:
    touch(tmp_path, ["train/ant/2020/may/1.jpg", "train/ant/1.jpg", "train/bee/1.jpg"])
    assert found(tmp_path)["train"][:2] == [("ant", "train/ant/1.jpg"), ("ant", "train/ant/2020/may/1.jpg")]


def test_links_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, ["elsewhere/ants/1.jpg", "elsewhere/2.jpg", "data/train/bee/1.jpg"])
    data = tmp_path / "data"
    (data / "train/ant").symlink_to(tmp_path / "elsewhere/ants")
    (data / "train/bee/2.jpg").symlink_to(tmp_path / "elsewhere/2.jpg")
    assert [path for _, path in found(data)["train"]] == ["train/ant/1.jpg", "train/bee/1.jpg", "train/bee/2.jpg"]


def test_a_link_without_end_is_named(tmp_path: Path) -> None:
    touch(tmp_path, animals(1, 1))
    (tmp_path / "ant/again").symlink_to(tmp_path / "ant")
    assert f"{tmp_path / 'ant/again'} is a link to a folder that it lies in" in message(tmp_path)


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(1, 1)])
    (tmp_path / "train/ant/loop").symlink_to(tmp_path / "train/ant/loop")
    assert len(found(tmp_path)["train"]) == 2


@pytest.mark.parametrize("name", ["spaced  out ", "größe", "猫", "x" * 255, "a'b\"c", "line\nbreak", "100%", "-rf"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    name = name[:255] if name.isascii() else name
    touch(tmp_path, [f"train/{name}/{name[:200]} (1).jpg", "train/bee/1.jpg"])
    assert (name, f"train/{name}/{name[:200]} (1).jpg") in found(tmp_path)["train"]


def test_decomposed_letters_are_the_same_class(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "größe")
    touch(tmp_path, ["train/größe/1.jpg", "train/bee/1.jpg", f"val/{decomposed}/1.jpg"])
    assert found(tmp_path)["val"] == [("größe", f"val/{decomposed}/1.jpg")]


def test_two_folders_of_one_name_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, ["größe/1.jpg", f"{unicodedata.normalize('NFD', 'größe')}/1.jpg"])
    assert "2 folders named 'größe'" in message(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_a_class_name_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, animals(1, 1))
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    assert "is not UTF-8" in message(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_a_file_name_may_be_any_bytes(tmp_path: Path) -> None:
    touch(tmp_path, animals(5, 5))
    os.close(os.open(os.fsencode(tmp_path) + b"/ant/caf\xe9.jpg", os.O_CREAT))
    assert sum(map(len, found(tmp_path).values())) == 11


def test_a_missing_folder_is_named_with_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, ["flowers/rose/1.jpg", "notes.txt"])
    monkeypatch.chdir(tmp_path)
    told = message(Path("flower"))
    assert told.startswith(f"There is no folder {tmp_path / 'flower'}. Did you mean 'flowers'?")
    assert message(Path("flwers/train/x")).endswith(f"Did you mean 'flowers'? Folders in {tmp_path}: 'flowers'.")
    assert message(tmp_path / "flowers/rose/x").endswith(f"There are no folders in {tmp_path / 'flowers/rose'}.")
    assert "is not a folder" in message(tmp_path / "notes.txt")
    assert "File name too long" in message(tmp_path / ("x" * 300))


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "pets", [f"train/{name}" for name in animals(1, 1)])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(part(Path("~/pets")).build().train) == 2


def test_images_without_class_folders_are_explained(tmp_path: Path) -> None:
    assert "holds no class folders. Expected is a folder for each class" in message(tmp_path)
    touch(tmp_path, ["1.jpg", "2.JPG", "labels.csv"])
    assert "holds 2 images, but no class folders. Expected is a folder for each class" in message(tmp_path)


def notes(root: Path, **options: Any) -> list[str]:
    return list(part(root, **options).build().notes)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    assert notes(touch(tmp_path, animals(2, 2))) == []
    touch(tmp_path, ["ant/1.heic", "ant/deep/2.HEIC", "bee/notes.txt", "README.md", "loose.jpg", "bee/x.tif"])
    touch(tmp_path, ["@eaDir/ant/1.jpg", "#recycle/9.jpg", "ant/@eaDir/1.jpg/T.jpg", "bee/._1.jpg", "bee/Thumbs.db"])
    assert notes(tmp_path) == [
        "1 image lies in no class folder, and is passed over: 'loose.jpg'.",
        "4 files were passed over, of other kinds: .heic 2, .md 1, .txt 1.",
        "4 passed over, hidden or a system's own: @eaDir 2, #recycle 1, *.jpg 1.",
        "5 samples are files of several kinds: .jpg 4, .tif 1.",
    ]
    assert {name for name, _ in found(tmp_path)["train"]} == {"ant", "bee"}


def test_what_lies_beside_the_splits_is_told(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{name}" for name in animals(1, 1)])
    touch(tmp_path, ["val/ant/1.jpg", "val/loose.jpg", "unlabelled/1.jpg", "labels.csv"])
    assert notes(tmp_path) == [
        "1 image lies in no class folder, and is passed over: 'loose.jpg'.",
        "folders beside train, val are passed over: 'unlabelled'.",
        "1 file was passed over, of another kind: .csv 1.",
    ]


def test_a_tilde_in_a_name_is_a_tilde(tmp_path: Path) -> None:
    touch(tmp_path, [f"{name}/{number}.jpg" for name in ("~", "~root", "~$x", "dog") for number in range(3)])
    assert {name for name, _ in found(tmp_path)["train"]} == {"~", "~root", "~$x", "dog"}


def test_a_class_folder_without_images_is_named(tmp_path: Path) -> None:
    touch(tmp_path, [*animals(1, 1), "cat/notes.txt", "dog/.hidden.jpg"])
    assert f"{tmp_path} holds class folders without images: 'cat', 'dog' (there is: .txt 1)." in message(tmp_path)


def test_a_path_one_level_too_high_is_asked_about(tmp_path: Path) -> None:
    touch(tmp_path / "pets", [f"{split}/{name}" for split in ("train", "val") for name in animals(2, 2)])
    shutil.copytree(tmp_path / "pets", tmp_path / "zoo")
    asked = "Is the path one level too high, and "
    assert f"{asked}'{tmp_path / 'pets'}', '{tmp_path / 'zoo'}' meant?" in message(tmp_path)
    (tmp_path / "runs").mkdir()
    assert f"without images: 'runs'. {asked}'{tmp_path / 'pets'}', '{tmp_path / 'zoo'}' meant?" in message(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    touch(tmp_path, ["vehicles/train/steam/1.jpg", "vehicles/bus/1.jpg"])
    for name in ("pets", "zoo"):
        (tmp_path / name / "val").rename(tmp_path / name / "other")
    assert len({name for name, _ in found(tmp_path)["train"]}) == 3, "train/ alone is no split"


def test_one_class_only_looks_like_the_wrong_folder(tmp_path: Path) -> None:
    touch(tmp_path / "pets", animals(1, 1))
    assert f"give {tmp_path / 'pets'} as the path" in message(tmp_path)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_lacks_is_an_error(split: str, tmp_path: Path) -> None:
    touch(tmp_path, [*(f"train/{name}" for name in animals(1, 1, 1)), f"{split}/Cats/1.jpg", f"{split}/ant/1.jpg"])
    told = message(tmp_path)
    assert f"{tmp_path / split} holds 'Cats', but train/ has no such class. Did you mean 'cat'?" in told
    assert "Classes in train/: 'ant', 'bee', 'cat'." in told


def test_many_names_are_not_all_listed(tmp_path: Path) -> None:
    touch(tmp_path, [*(f"train/{n:03}/1.jpg" for n in range(50)), "val/other/1.jpg"])
    assert "'009' and 40 more" in message(tmp_path)


@pytest.mark.parametrize("folder", ["valid", "Validation", "Test", "testing"])
def test_a_split_by_another_name_is_not_passed_over(folder: str, tmp_path: Path) -> None:
    touch(tmp_path, [f"{split}/{name}" for split in ("train", folder) for name in animals(1, 1)])
    assert f"but {folder}/. Rename it" in message(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["training/ant/1.jpg", "training/bee/1.jpg", "car/1.jpg"],
        ["val/ant/1.jpg", "val/bee/1.jpg", "test/ant/1.jpg"],
        ["train/1.jpg", "test/1.jpg"],
    ],
)
def test_splits_are_not_taken_for_classes(names: list[str], tmp_path: Path) -> None:
    assert "so it looks split, but there is no train/ with class folders" in message(touch(tmp_path, names))


def test_train_can_be_a_class(tmp_path: Path) -> None:
    images = found(touch(tmp_path, [f"{name}/{i}.jpg" for name in ("train", "bus") for i in range(10)]))
    assert {name for split in images.values() for name, _ in split} == {"train", "bus"}


def test_too_few_images_to_split(tmp_path: Path) -> None:
    touch(tmp_path, animals(1, 1, 1))
    assert "3 images in 3 classes are too few to set some aside for test" in message(tmp_path)
    assert len(found(tmp_path, split={"val": 0, "test": 0})["train"]) == 3


class_names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/."), min_size=1, max_size=8)
trees = st.dictionaries(
    class_names.map(lambda name: unicodedata.normalize("NFC", name)), st.integers(1, 12), min_size=2, max_size=5
).filter(lambda tree: not {name.casefold() for name in tree} & {*layout._OTHER_NAMES, "__macosx"})


@given(tree=trees, limit=st.none() | st.integers(1, 40), randomly=st.randoms(use_true_random=False))
def test_random_trees(
    tree: dict[str, int], limit: int | None, randomly: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"{name}/{'more/' * (i % 2)}{i}.png" for name, count in tree.items() for i in range(count)]
    names += [f"{min(tree)}/extra{i}.png" for i in range(2)]  # one each for val and test at least
    first = found(touch(tmp_path_factory.mktemp("first"), names), limit=limit)
    randomly.shuffle(names)
    assert found(touch(tmp_path_factory.mktemp("second"), names), limit=limit) == first

    images = [path for split in first.values() for _, path in split]
    assert len(images) == len(set(images))
    assert set(images) <= set(names)
    assert all(path.startswith(f"{name}/") for split in first.values() for name, path in split)
    if limit is None:
        assert sorted(images) == sorted(names)
    else:
        whole = found(touch(tmp_path_factory.mktemp("whole"), names))
        assert {split: len(of) for split, of in first.items()} == {s: min(limit, len(of)) for s, of in whole.items()}
        assert all(set(first[split]) <= set(whole[split]) for split in whole)


@given(
    counts=st.lists(st.integers(20, 300), min_size=2, max_size=6),
    val=st.floats(0, 0.4),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 9),
)
def test_each_class_gives_its_share(counts: list[int], val: float, test: float, seed: int) -> None:
    tree = {f"{n}": [layout.Image(f"{n}/{i}", f"{n}/{i}") for i in range(count)] for n, count in enumerate(counts)}
    cut = layout.cut(tree, {"test": test, "val": val}, seed)
    assert set(cut) == {"train", "test", "val"} - ({"val"} if val == 0 else set())
    assert len(set().union(*(of for split in cut.values() for of in split.values()))) == sum(counts)
    for split, fraction, near in (("test", test, 1.5), ("val", val, 2.5)):
        if fraction > 0:
            share, taken = max(1, round(sum(counts) * fraction)), sum(map(len, cut[split].values()))
            assert taken == share or (split == "val" and share < taken <= share + len(counts))
            assert split == "test" or len(cut[split]) == len(counts)
            for name, count in zip(tree, counts, strict=True):
                assert abs(len(cut[split].get(name, [])) - count * fraction) <= near


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8), count=st.integers(0, 60), keep=st.integers(0, 1))
def test_shares_make_the_count(sizes: list[int], count: int, keep: int) -> None:
    shares = layout._shares(sizes, count, keep, least=0)
    assert sum(shares) == min(count, sum(sizes) - keep * len(sizes))
    assert all(0 <= share <= size - keep for share, size in zip(shares, sizes, strict=True))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_class_of_three_has_one_in_val_and_one_in_train(count: int) -> None:
    tree = {name: [layout.Image(f"{name}/{i}", "") for i in range(size)] for name, size in (("a", count), ("b", 200))}
    for test in (0.0, 0.1, 0.5, 0.8):
        cut = layout.cut(tree, {"test": test, "val": 0.1}, seed=1)
        assert min(len(cut["val"]["a"]), len(cut["train"]["a"])) >= 1
    pair = layout.cut({"a": tree["a"][:2], "b": tree["b"]}, {"test": 0.1, "val": 0.1}, seed=1)
    assert len(pair["train"]["a"]) == len(pair["val"]["a"]) == 1
