"""What a weight file is, by its content: one to read, or something else under its name. Loads nothing heavy."""

import json
import pickletools
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

from ftrun import FtrunError, SpecError

_STARTS = {
    b"version https://git-lfs": (
        "is a pointer of Git LFS: the file itself was not fetched. Run `git lfs pull`, or download it"
    ),
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file, as Keras and TensorFlow write them",
    b"GGUF": "is a GGUF file, of llama.cpp",
    b"\x93NUMPY": "is a NumPy array",
    b"\x1f\x8b": "is compressed with gzip. Unpack it",
    b"BZh": "is compressed with bzip2. Unpack it",
    b"\xfd7zXZ\x00": "is compressed with xz. Unpack it",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd. Unpack it",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive. Unpack it",
    b"Rar!": "is a RAR archive. Unpack it",
    b"%PDF": "is a PDF document",
    b"\x89PNG": "is an image",
    b"\xff\xd8\xff": "is an image",
}
_SUFFIXES = {
    ".pb": "is a graph of TensorFlow",
    ".tflite": "is a model of TensorFlow Lite",
    ".msgpack": "is a file of Flax",
    ".index": "is a checkpoint of TensorFlow",
    ".meta": "is a checkpoint of TensorFlow",
}
_MODEL = re.compile(rb"\x08.\x12[\x01-\x40]([\w.-]+)", re.DOTALL)
"""A version, and the name of the program that wrote the file: the first two fields."""
_TAKEN = "What is read: files of safetensors, and what torch.save makes of a state dict."


def weight_file_kind(path: Path) -> Literal["safetensors", "torch"]:
    """Return how to read a weight file, from its start. Raises SpecError, saying what it is, where it is none."""
    if path.is_dir():
        raise _none(path, f"is a folder{_weights_in(path)}")
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise SpecError(f"there is no weight file {path} (looked for {path.absolute()}).") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"weight file {path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not length:
        raise _none(path, "is empty, 0 bytes long. Download it again")
    if start.startswith(b"PK"):
        _check_zip(path)
        return "torch"
    if start[8:9] == b"{":
        header = int.from_bytes(start[:8], "little")
        if header + 8 > length:
            raise _none(path, f"is cut off: it has {length:,} bytes, its header alone is to have {header:,}")
        return "safetensors"
    if what := _other(path, start):
        raise _none(path, what)
    return "torch"


def damaged(path: Path, error: Exception) -> FtrunError:
    """Return the error for a file that begins as one of weights does, and does not go on so."""
    return SpecError(
        f"weight file {path} is damaged or cut off ({path.stat().st_size:,} bytes): {type(error).__name__}. "
        "Download it again, or compare its size and digest with the original's."
    )


def asked_for(path: Path) -> list[str]:
    """Return the classes and functions that a pickle outside a zip file asks for, `module.name`; it runs none."""
    names: set[str] = set()
    strings: list[str] = []
    try:
        with path.open("rb") as file:
            while file.peek(1):  # torch.save of old wrote several, one after the other
                for code, argument, _ in pickletools.genops(file):
                    if code.name == "GLOBAL":
                        names.add(str(argument).replace(" ", "."))
                    elif code.name == "STACK_GLOBAL":
                        names.add(".".join(strings[-2:]))
                    elif isinstance(argument, str):
                        strings.append(argument)
    except Exception:  # what comes after the pickles: the tensors' bytes
        pass
    harmless = ("torch._utils.", "torch.serialization.", "collections.")
    storages = {name for name in names if name.startswith("torch.") and name.endswith("Storage")}
    return sorted(name for name in names - storages if not name.startswith(harmless))


def _none(path: Path, what: str) -> SpecError:
    return SpecError(f"weight file {path} {what}. {_TAKEN}")


def _weights_in(folder: Path) -> str:
    files = sorted(each.name for each in folder.iterdir() if each.suffix in (".safetensors", ".pth", ".pt", ".bin"))
    return f". Name a file in it: {', '.join(files[:5])}" if files else ""


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise damaged(path, error) from None
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        raise _none(path, "is a TorchScript program: code, not weights alone. Save its state_dict() where it was made")
    if "data.pkl" in inner:
        return
    if "model.weights.h5" in names:
        raise _none(path, "is a model of Keras")
    if names and all(name.endswith(".npy") for name in names):
        raise _none(path, "is an archive of NumPy arrays (.npz)")
    raise _none(path, f"is a zip archive of {len(names)} files, such as {names[0] if names else 'none'}. Unpack it")


def _other(path: Path, start: bytes) -> str:
    """Return what a file is that is neither a zip archive nor of safetensors; nothing, if it may be torch's."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return (
            "is a web page (HTML), such as that of a login or an error, saved under this name. Download the file itself"
        )
    if text.startswith(b"<?xml"):
        return "is XML, such as a server's answer that it has no such file. Download the file itself"
    if text.startswith((b"{", b"[")):
        return _json(path)
    for begins, what in _STARTS.items():
        if start.startswith(begins):
            return what
    if start[4:8] == b"TFL3":
        return _SUFFIXES[".tflite"]
    if path.suffix.lower() in _SUFFIXES or ".data-0000" in path.name:
        return _SUFFIXES.get(path.suffix.lower(), _SUFFIXES[".index"])
    if start[:1] == b"\x80":
        return ""
    if start[257:262] == b"ustar" or tarfile.is_tarfile(path):
        return "is a tar archive. Unpack it"
    if model := _MODEL.match(start):
        return f"is a whole model in Protocol Buffers, written by {model[1].decode()}"
    if start.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        return f"is a text: {start[:60].decode().splitlines()[0]!r}"
    return f"is none: it begins with {start[:8]!r}"


def _json(path: Path) -> str:
    try:
        index = json.loads(path.read_bytes()).get("weight_map")
        files = sorted(set(index.values()))
    except (ValueError, AttributeError, OSError, RecursionError):
        return "is JSON, no weights"
    return (
        f"is the index of weights that are in {len(files)} other files, such as {files[0]}. Give a file that holds all"
    )
