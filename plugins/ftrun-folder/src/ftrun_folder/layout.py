"""Which images there are, of which class, in which split: found from names alone, no image is opened.

What is found and how it is split does not depend on the order in which a file system lists names. Names are compared
in Unicode's form NFC, because some systems (macOS, and zip files made there) keep accented letters in two parts.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from unicodedata import normalize

import ftrun

SPLITS = ("train", "val", "test")

# What splits are also called. Such a folder is never passed over in silence or taken for a class.
_OTHER_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}

_LOOSE = "{:,} images lie in no class folder, and are"
_EXPECTED = (
    "Expected is a folder for each class: either in train/ (and val/, test/), as in train/cat/1.jpg, or, to be split "
    "by fractions, as in cat/1.jpg."
)


class Image(NamedTuple):
    """An image file. `key` is its name on every system: class/folders/file in NFC."""

    key: str
    path: str


Tree: TypeAlias = dict[str, list[Image]]
"""Images by the name of their class: no class is empty, and all is in the order of names."""


def is_split(path: str, scan: ftrun.FileScan) -> bool:
    """Whether `path` holds train/ with class folders in it (train/ with images alone is a class of that name)."""
    return "train" in _folders(path, scan) and bool(_folders(os.path.join(path, "train"), scan))


def read_splits(path: str, scan: ftrun.FileScan) -> dict[str, Tree]:
    """The trees in train/, and in val/ and test/ if they are there, of `path`."""
    found = _split_folders(path, scan)
    train = _read_train(os.path.join(path, "train"), scan)
    others = {split: os.path.join(path, split) for split in SPLITS[1:] if split in found}
    return {"train": train, **{split: _read_other(folder, train, scan) for split, folder in others.items()}}


def read_whole(path: str, scan: ftrun.FileScan) -> dict[str, Tree]:
    """The trees in train/, val/ and test/, as far as they are there; or the one that `path` is, as `all`."""
    if any(_folders(os.path.join(path, split), scan) for split in SPLITS if split in _folders(path, scan)):
        found = _split_folders(path, scan)
        return {split: _read_classes(os.path.join(path, split), scan) for split in SPLITS if split in found}
    return {"all": _read_classes(path, scan)}


def _split_folders(path: str, scan: ftrun.FileScan) -> list[str]:
    """The folders in `path`. Raises DataError where that of a split has another name."""
    found = _folders(path, scan)
    for folder in found:
        split = _OTHER_NAMES.get(folder.casefold())
        if split and split not in found:
            raise ftrun.DataError(
                f"{path} has no {split}/, but {folder}/. Rename it to {split!r}, or move it away if it is not that."
            )
    return found


def read_tree(path: str, scan: ftrun.FileScan) -> Tree:
    """The one tree of class folders that `path` is."""
    splits = [folder for folder in _folders(path, scan) if folder.casefold() in _OTHER_NAMES]
    if len(splits) > 1 or any(_folders(os.path.join(path, folder), scan) for folder in splits):
        raise ftrun.DataError(
            f"{path} holds {_some(splits)}, so it looks split, but there is no train/ with class folders in it. "
            f"{_EXPECTED}"
        )
    return _read_train(path, scan)


def beside(path: str, trees: Mapping[str, Tree], scan: ftrun.FileScan, *, split: bool) -> list[str]:
    """A line on images and folders that lie beside those of splits and classes, if there are any; files are counted.

    split: whether `path` holds train/ and so on
    """
    notes = []
    places = [os.path.join(path, name) for name in trees] if split else [path]
    loose = [image for place in places + [path] * split for image in _loose(place, scan)]
    if loose:
        what = "1 image lies in no class folder, and is" if len(loose) == 1 else _LOOSE.format(len(loose))
        notes.append(f"{what} passed over: {_some(loose, most=3)}.")
    unknown = [folder for folder in _folders(path, scan) if folder not in trees] if split else []
    if unknown:
        notes.append(f"folders beside {', '.join(trees)} are passed over: {_some(unknown)}.")
    return notes


def cut(tree: Tree, fractions: Mapping[str, float], seed: int) -> dict[str, Tree]:
    """`fractions` of the tree, set aside under their names, and the rest of it as train.

    Each class gives its share, give or take an image, and keeps at least one image for train. One of three images and
    more has one in val, whatever its share.
    """
    total = sum(map(len, tree.values()))
    cut_off = {}
    for split, fraction in fractions.items():
        if fraction > 0:
            keep, least = (1, 1) if split == "val" else (2, 0)
            tree, cut_off[split] = _set_aside(tree, max(1, round(total * fraction)), seed, keep, least)
            if not cut_off[split]:
                raise ftrun.DataError(
                    f"{total} images in {len(tree)} classes are too few to set some aside for {split} and to leave one "
                    f"of each class to train on. Add images, or set `split.{split}` to 0."
                )
    return {"train": tree, **cut_off}


def limited(tree: Tree, limit: int) -> Tree:
    """At most `limit` images of the tree, each class in proportion; always the same ones."""
    return _set_aside(tree, limit, seed=0, keep=0, least=0)[1]


def _set_aside(tree: Tree, count: int, seed: int, keep: int, least: int) -> tuple[Tree, Tree]:
    """The tree without about `count` images, and these, shared out as `_shares` says."""
    shares = _shares([len(images) for images in tree.values()], count, keep, least)
    taken = {
        image for images, share in zip(tree.values(), shares, strict=True) for image in _shuffled(images, seed)[:share]
    }
    return _where(tree, lambda image: image not in taken), _where(tree, lambda image: image in taken)


def _shares(sizes: Sequence[int], count: int, keep: int, least: int) -> list[int]:
    """How many of each class make `count` in proportion to `sizes`: the method of largest remainders.

    keep: how many of a class stay, if it has more; else one stays, unless keep is 0. If that leaves too few, the sum is
        less than `count`.
    least: how many of each class are in it at any rate, even if the sum is then more than `count`
    """
    most = [size - (keep if size > keep else min(size, keep, 1)) for size in sizes]
    count, total = min(count, sum(most)), sum(sizes)
    shares = [min(max(size * count // total, least), limit) for size, limit in zip(sizes, most, strict=True)]
    while (missing := count - sum(shares)) > 0:
        able = [index for index, share in enumerate(shares) if share < most[index]]
        able.sort(key=lambda index: shares[index] * total - sizes[index] * count)
        for index in able[:missing]:
            shares[index] += 1
    return shares


def _shuffled(images: Iterable[Image], seed: int) -> list[Image]:
    """In the order of a hash of each one's key: an image that is added leaves the order of the others alone."""

    def draw(image: Image) -> bytes:
        return hashlib.blake2b(f"{seed}/{image.key}".encode(errors="surrogatepass"), digest_size=8).digest()

    return sorted(images, key=draw)


def _where(tree: Tree, wanted: Callable[[Image], bool]) -> Tree:
    kept = {name: [image for image in images if wanted(image)] for name, images in tree.items()}
    return {name: images for name, images in kept.items() if images}


def _read_train(path: str, scan: ftrun.FileScan) -> Tree:
    tree = _read_classes(path, scan)
    if len(tree) == 1:
        (name,) = tree
        raise ftrun.DataError(
            f"{path} holds one class folder only, {name!r}. If the class folders are in it, give "
            f"{os.path.join(path, name)} as the path; otherwise add another class. {_EXPECTED}"
        )
    return tree


def _read_other(path: str, train: Tree, scan: ftrun.FileScan) -> Tree:
    tree = _read_classes(path, scan)
    unknown = [name for name in tree if name not in train]
    if unknown:
        raise ftrun.DataError(
            f"{path} holds {_some(unknown)}, but train/ has no such class.{ftrun.did_you_mean(unknown[0], train)} "
            f"Classes in train/: {_some(list(train))}. They are matched by name: rename the folder, or remove it."
        )
    return tree


def _read_classes(path: str, scan: ftrun.FileScan) -> Tree:
    folders = _folders(path, scan)
    if not folders:
        images = len(_loose(path, scan))
        what = f"{images} images, but no class folders" if images else "no class folders"
        raise ftrun.DataError(f"{path} holds {what}. {_EXPECTED}")
    paths = [os.path.join(path, folder) for folder in folders]
    names = _class_names(path, folders)
    tree = {name: sorted(_images(os.path.join(path, names[name]), name, scan)) for name in sorted(names)}
    empty = [name for name, images in tree.items() if not images]
    if empty:
        others = scan.others_in(os.path.join(path, names[empty[0]]))
        raise ftrun.DataError(
            f"{path} holds class folders without images: {_some(empty)}{f' (there is: {others})' if others else ''}. "
            f"{_question([each for each in paths if _is_dataset(each, scan)])}Put images there "
            f"({', '.join(scan.suffixes)}), or move the folders elsewhere."
        )
    if all(_is_dataset(each, scan) for each in paths):  # of classes, the first one answers
        raise ftrun.DataError(f"{path} holds folders that are split, no classes. {_question(paths)}{_EXPECTED}")
    return tree


def _is_dataset(path: str, scan: ftrun.FileScan) -> bool:
    """Return whether a folder is split itself; train/ alone may be a kind of vehicle."""
    return is_split(path, scan) and len(_OTHER_NAMES.keys() & _folders(path, scan)) > 1


def _question(datasets: Sequence[str]) -> str:
    return f"Is the path one level too high, and {_some(datasets, most=3)} meant? " if datasets else ""


def _class_names(path: str, folders: Sequence[str]) -> dict[str, str]:
    """The folder of each class, by the class's name."""
    for folder in folders:
        try:
            folder.encode()
        except UnicodeEncodeError as error:
            raise ftrun.DataError(f"{path}: the class folder's name {folder!r} is not UTF-8. Rename it.") from error
    names = [normalize("NFC", folder) for folder in folders]
    for name, count in Counter(names).items():
        if count > 1:
            raise ftrun.DataError(
                f"{path} holds {count} folders named {name!r}: they look the same, but their accented letters are "
                "encoded differently. Put their images into one of them."
            )
    return dict(zip(names, folders, strict=True))


def _images(folder: str, key: str, scan: ftrun.FileScan) -> list[Image]:
    """The images in `folder` and in the folders in it."""
    inner = len(os.path.join(folder, ""))
    return [Image(normalize("NFC", f"{key}/{path[inner:].replace(os.sep, '/')}"), path) for path in scan.walk(folder)]


def _loose(path: str, scan: ftrun.FileScan) -> list[str]:
    """The images that lie in `path` itself; other files there are counted."""
    files = [entry for entry in _entries(path, scan) if not ftrun.is_folder(entry)]
    for entry in files:
        if not scan.is_sample(entry.name):
            scan.pass_over(entry.path)
    return [entry.name for entry in files if scan.is_sample(entry.name)]


def _folders(path: str, scan: ftrun.FileScan) -> list[str]:
    return [entry.name for entry in _entries(path, scan) if ftrun.is_folder(entry)]


def _entries(folder: str, scan: ftrun.FileScan) -> list[os.DirEntry[str]]:
    try:
        return scan.entries(folder)
    except FileNotFoundError as error:
        raise ftrun.DataError(_missing(folder, scan)) from error
    except NotADirectoryError as error:
        raise ftrun.DataError(f"{folder} is not a folder. If it is an archive, unpack it first.") from error
    except OSError as error:
        raise ftrun.DataError(f"{folder} cannot be read: {error.strerror}.") from error


def _missing(folder: str, scan: ftrun.FileScan) -> str:
    parent, name = os.path.split(folder)
    while not os.path.isdir(parent):
        parent, name = os.path.split(parent)
    siblings = _folders(parent, scan)
    nearest = ftrun.did_you_mean(name, siblings)
    known = f"Folders in {parent}: {_some(siblings)}." if siblings else f"There are no folders in {parent}."
    return f"There is no folder {folder}.{nearest} {known}"


def _some(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
