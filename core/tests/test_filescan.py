"""Which files are samples, and what is passed over."""

import os
from pathlib import Path

import pytest

from ftrun import DataError, FileScan
from ftrun.contracts.filescan import is_clutter
from ftrun.data.filelist import listed
from ftrun_inputs import ImageInput

OURS = ["a.jpg", "B.JPG", "c.TiF", "d.gif", "in/e.png", "~f/g.jfif"]
SYSTEMS = [
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "#recycle/b.jpg",
    "$RECYCLE.BIN/c.jpg",
    "System Volume Information/d.jpg",
    "lost+found/e.jpg",
    "__MACOSX/f.jpg",
    ".ipynb_checkpoints/a-checkpoint.png",
    "in/@eaDir/e.png",
    "._a.jpg",
]


def tree(root: Path, names: list[str]) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def test_samples_are_found_and_all_else_is_counted(tmp_path):
    root = tree(tmp_path, [*OURS, *SYSTEMS, "Thumbs.db", "desktop.ini", ".DS_Store", "x.HEIC", "in/y.heic", "README"])
    scan = FileScan(ImageInput.suffixes)
    found = [os.path.relpath(path, root) for path in scan.walk(root)]
    assert sorted(found) == sorted(OURS)
    assert found == ["B.JPG", "a.jpg", "c.TiF", "d.gif", "in/e.png", "~f/g.jfif"]
    assert len(list(scan.walk(root))) == 6
    assert scan.passed_over() == [
        "3 files were passed over, of other kinds: .heic 2, no extension 1.",
        "9 passed over, hidden or a system's own: @eaDir 2, #recycle 1, $RECYCLE.BIN 1, *.jpg 1, .ipynb_checkpoints 1, "
        "System Volume Information 1, __MACOSX 1, lost+found 1.",
    ]
    assert scan.kinds() == ["6 samples are files of several kinds: .jpg 2, .gif 1, .jfif 1, .png 1, .tif 1."]
    assert scan.others_in(os.path.join(root, "in")) == ".heic 1"


def test_what_is_asked_for_by_name_is_taken_whatever_it_is(tmp_path):
    root = tree(tmp_path, ["a.jpg", "._a.jpg", "x.heic"])
    scan = FileScan(ImageInput.suffixes)
    asked = [root, os.path.join(root, "._a.jpg"), os.path.join(root, "*.heic")]
    assert [os.path.basename(path) for path in listed(asked, [], scan)] == ["a.jpg", "._a.jpg", "x.heic"]


def test_links_to_folders_are_followed_once(tmp_path):
    root = tree(tmp_path / "root", ["in/a.jpg"])
    tree(tmp_path / "other", ["b.jpg"])
    (tmp_path / "root" / "link").symlink_to(tmp_path / "other")
    scan = FileScan((".jpg",))
    assert [os.path.relpath(path, root) for path in scan.walk(root)] == ["in/a.jpg", "link/b.jpg"]
    (tmp_path / "root" / "in" / "loop").symlink_to(tmp_path / "root")
    with pytest.raises(DataError, match="is a link to a folder that it lies in"):
        list(scan.walk(root))


@pytest.mark.parametrize("name", ["recycle", "eaDir", "lost", "~cats", "@home", "#1", "thumbs"])
def test_other_names_are_a_users_own(name):
    assert not is_clutter(name)


def test_odd_names_are_shown_in_one_line_that_a_terminal_does_not_obey(tmp_path):
    for name in (b"a.\xff\xfe", b"b.\n\x1b[31m", "c.\u202egpj".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()
    scan = FileScan((".jpg",))
    list(scan.walk(str(tmp_path)))
    (line,) = scan.passed_over()
    assert line.startswith("3 files were passed over")
    assert not set("\n\x1b\u202e") & set(line)
    line.encode()
