"""Which files in a folder are samples: the one answer for datasets and for prediction; and what is passed over."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping

from ftrun.contracts.errors import DataError
from ftrun.contracts.printable import counted, printable

_SYSTEMS_OWN = frozenset(
    {
        # Network storage: thumbnails, recycle bins, snapshots.
        *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "~snapshot"),
        # Windows
        *("$recycle.bin", "recycler", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        # macOS, and what shares files with it
        *("__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder"),
        # Linux and Python
        *("lost+found", "__pycache__"),
    }
)


def is_clutter(name: str) -> bool:
    """Return whether a file or folder is hidden (`.git`, `._1`) or a system's own (`@eaDir`), by its name."""
    return name.startswith(".") or name.casefold() in _SYSTEMS_OWN


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a folder, or a link to one."""
    # DirEntry.is_dir() raises on a link to itself; os.path.isdir() does not, but is slow for 100,000 files.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a pipe, a socket or a device: who opens it may wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class FileScan:
    """A look for samples in folders, which counts what it passes over: each file once, however often it is met with.

    suffixes: how names of samples end, in lower case
    """

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        self.suffixes = suffixes
        self._samples: dict[str, str] = {}
        self._others: dict[str, str] = {}
        self._clutter: dict[str, str] = {}

    def is_sample(self, name: str) -> bool:
        """Return whether a file of this name is a sample."""
        return name.lower().endswith(self.suffixes)

    def entries(self, folder: str) -> "list[os.DirEntry[str]]":
        """Return what is in a folder, by name, without hidden files and folders and those of systems.

        Raises OSError where it cannot be read.
        """
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_clutter(entry.name):
                    found.append(entry)
                elif is_folder(entry):
                    self._clutter[entry.path] = entry.name
                elif self.is_sample(entry.name):  # what nobody would take for one is not worth a word
                    self._clutter[entry.path] = f"*{_suffix(entry.name)}"
        return sorted(found, key=lambda entry: entry.name)

    def walk(self, folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
        """Give the paths of the samples in a folder, in the order of names, then those in the folders in it; links too.

        Raises DataError where one cannot be read, or is a link to a folder that it lies in.

        above: device and inode of the folders that it lies in
        """
        try:
            status, entries = os.stat(folder), self.entries(folder)
        except OSError as error:
            raise DataError(f"{folder} cannot be read: {error.strerror}.") from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise DataError(f"{folder} is a link to a folder that it lies in, so there is no end to it. Remove it.")
        folders = []
        for entry in entries:
            if is_folder(entry):
                folders.append(entry.path)
            elif self.is_sample(entry.name):
                self._samples[entry.path] = _suffix(entry.name)
                yield entry.path
            else:
                self.pass_over(entry.path)
        for inner in folders:
            yield from self.walk(inner, above | {here})

    def pass_over(self, path: str) -> None:
        """Count a file that is no sample."""
        self._others[path] = _suffix(os.path.basename(path)) or "no extension"

    def others_in(self, folder: str) -> str:
        """Return what there is in a folder that is no sample, in words: `.heic 12`; nothing if there is none."""
        return counted(Counter(suffix for path, suffix in self._others.items() if path.startswith(f"{folder}{os.sep}")))

    def passed_over(self) -> list[str]:
        """Return a line on files of other kinds, and one on what is hidden or a system's own, if there are any."""
        return [
            *_line(self._others, "file was passed over, of another kind", "files were passed over, of other kinds"),
            *_line(self._clutter, *2 * ("passed over, hidden or a system's own",)),
        ]

    def kinds(self) -> list[str]:
        """Return a line on the kinds of samples where there are several: a net may learn to tell these apart."""
        several = len(set(self._samples.values())) > 1
        return _line(self._samples, "", "samples are files of several kinds") if several else []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _line(kinds: Mapping[str, str], one: str, several: str) -> list[str]:
    """`3 files were passed over: .txt 2, .csv 1`, for paths with their kinds; none where there are no paths."""
    what = one if len(kinds) == 1 else several
    return [printable(f"{len(kinds):,} {what}: {counted(Counter(kinds.values()))}.")] if kinds else []
