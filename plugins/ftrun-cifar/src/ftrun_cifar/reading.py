"""Fetch, verify and read CIFAR through torchvision."""

import contextlib
import io
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5, check_integrity

import ftrun

# Seconds without an answer or a byte after which a download is given up; torchvision itself waits for ever.
TIMEOUT = 30.0


def read(source: type[CIFAR10], root: Path) -> ftrun.Splits:
    """Train and test of `source`, CIFAR10 or CIFAR100, from `root`, downloaded to there where they are missing."""
    try:
        with _timeout(TIMEOUT), _progress_on_terminals_only():
            train, test = (source(root, train=train, download=True) for train in (True, False))
    except (OSError, HTTPException, RecursionError) as error:  # RecursionError: too many redirects
        raise ftrun.DataError(_missing(source, root, error)) from error
    except RuntimeError as error:
        raise ftrun.DataError(_damaged(source, root)) from error
    return ftrun.Splits(
        train=_split(train),
        test=_split(test),
        targets={"label": ftrun.Classes(names=tuple(train.classes))},
    )


def _split(data: CIFAR10) -> ftrun.TensorSplit:
    # torchvision keeps [N, H, W, C] as a view of the archive's own [N, C, H, W]: this undoes it, without a copy.
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    return ftrun.TensorSplit(images, {"label": torch.tensor(data.targets)})


def _missing(source: type[CIFAR10], root: Path, error: Exception) -> str:
    archive = root / source.filename
    there = f"{_wrong_md5(archive, source.tgz_md5)} " if archive.is_file() else f"There is no {archive}. "
    return (
        f"{there}It could not be downloaded from {source.url}: {error}. Where there is no network, get "
        f"{source.filename} (md5 {source.tgz_md5}) on another machine and put it in the folder {root}."
    )


def _damaged(source: type[CIFAR10], root: Path) -> str:
    archive, unpacked = root / source.filename, root / source.base_folder
    batches = [*source.train_list, *source.test_list]
    if all(check_integrity(unpacked / name, md5) for name, md5 in batches):
        # torchvision unpacks again where a batch is damaged, but not for this one.
        return (
            f"{unpacked / source.meta['filename']} is missing or damaged. Delete the folder {unpacked} and run again."
        )
    return (
        f"{_wrong_md5(archive, source.tgz_md5)} Run again to download it again, or put the original from "
        f"{source.url} in its place."
    )


def _wrong_md5(archive: Path, md5: str) -> str:
    return f"{archive} is damaged: its md5 is {calculate_md5(archive)}, but the original's is {md5}."


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _progress_on_terminals_only() -> contextlib.AbstractContextManager[object]:
    """torchvision draws its progress bar whether or not anybody watches; a log is better off without it."""
    return contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(io.StringIO())
