"""Weights and training state as safetensors and JSON, with digests; synced, and renamed into place.

model.safetensors  the net's weights, under their library's names
heads.safetensors  the weights of its neck and of heads that are not in the library's own module, where it has such
net.json           what rebuilds the net, its epoch and step, its val metrics, the state of the objective
net.safetensors    the tensors that net.json refers to, where it does, as {"$tensor": name}
*.json, ...        files of the parts' states, which net.json names in `parts`
state.*            optimizer, averaged weights and progress, where they are given
manifest.json      the SHA-256 of each of these files, by name; a file that it does not name is never opened
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.numbers import finite, to_json
from ftrun.contracts.part import PartState
from ftrun.data.filedigests import settled_state
from ftrun.data.files import put_in_place, sync, writing
from ftrun.runs.packing import pack, unpack
from ftrun.spec.specfile import is_text

MODEL, HEADS, NET, MANIFEST = "model.safetensors", "heads.safetensors", "net.json", "manifest.json"
NET_TENSORS = "net.safetensors"
STATE_TENSORS, STATE = "state.safetensors", "state.json"
OURS = (MODEL, HEADS, NET, NET_TENSORS, MANIFEST, STATE_TENSORS, STATE)

T = TypeVar("T")


class Damaged(FtrunError):
    """A checkpoint that is incomplete, or not what was written; the message names the file."""


def may_be_kept(name: str) -> bool:
    """Return whether a checkpoint may have a file of that name for a part's state: not hidden, and not ours."""
    inside = bool(name) and not name.startswith(".") and not re.search(r"[/\\\0]", name) and is_text(name)
    return inside and name.casefold() not in OURS and not name.casefold().endswith(".safetensors")


def save(
    folder: Path,
    model: nn.Module,
    description: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    *,
    heads: nn.Module | None = None,
    objective: Mapping[str, Any] | None = None,
    parts: Mapping[str, PartState] | None = None,
    previous: Path | None = None,
) -> None:
    """Write a checkpoint to `folder`, in place of the one that is there.

    heads: `Net.extra_modules`, what the net has outside `model`
    description: what net.json holds; a number that is not finite is null
    state, objective: tensors, numbers, text, lists and dicts, as `pack` takes them
    parts: the parts' states, by their places in the spec
    previous: where the checkpoint goes that was there; it is removed if not given
    """
    temporary = folder.with_name(f".{folder.name}.new")
    backup = previous or folder.with_name(f".{folder.name}.old")
    with writing(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            for name, content in _files(parts or {}).items():
                (temporary / name).write_bytes(content)
            save_model(model, str(temporary / MODEL))
            if heads is not None and heads.state_dict():
                save_model(heads, str(temporary / HEADS))
            _write(temporary, description, objective, parts or {}, state)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)  # half of one is of no use, and takes space that is wanted
            raise
        put_in_place(temporary, folder, backup)
        if previous is None:
            shutil.rmtree(backup, ignore_errors=True)


def amend(folder: Path, **changes: Any) -> None:
    """Change what net.json of a checkpoint holds at some keys; whoever reads it meanwhile sees it as it was.

    Raises Damaged.
    """
    digests, net = verify(folder), _read_json(folder / NET)
    temporary, backup = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    with writing(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(folder, temporary)
        _write_json(temporary / NET, {**net, **changes})
        sync(temporary / NET)
        _write_json(temporary / MANIFEST, {"sha256": {**digests, NET: digest(temporary / NET)}})
        for file in (temporary / MANIFEST, temporary):
            sync(file)
        put_in_place(temporary, folder, backup)
        shutil.rmtree(backup, ignore_errors=True)


def _write(
    folder: Path,
    description: Mapping[str, Any],
    objective: Mapping[str, Any] | None,
    parts: Mapping[str, PartState],
    state: Mapping[str, Any] | None,
) -> None:
    net_tensors: dict[str, Tensor] = {}
    packed: dict[str, Any] = {
        "parts": {
            where: {"values": pack(dict(each.values), f"parts.{where}", net_tensors), "files": sorted(each.files)}
            for where, each in parts.items()
        }
    }
    if objective is not None:
        packed["objective"] = pack(dict(objective), "objective", net_tensors)
    if "val" in description:
        packed["val"] = pack(finite(description["val"]), "val", net_tensors)
    _write_json(folder / NET, {**description, **packed})
    if net_tensors:
        save_file(_apart(net_tensors), folder / NET_TENSORS)
    if state is not None:
        tensors: dict[str, Tensor] = {}
        _write_json(folder / STATE, {key: pack(value, key, tensors) for key, value in state.items()})
        save_file(_apart(tensors), folder / STATE_TENSORS)
    files = sorted(folder.iterdir())
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / NET, weights)  # safetensors lets nobody but the owner read its files
    _write_json(
        folder / MANIFEST, {"sha256": {file.name: each for file, each in zip(files, _synced(files), strict=True)}}
    )
    for file in (folder / MANIFEST, folder):
        sync(file)


def _files(parts: Mapping[str, PartState]) -> dict[str, bytes]:
    return {name: content for each in parts.values() for name, content in each.files.items()}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same tensors, each in memory of its own, as safetensors wants them."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return apart


def _synced(files: Sequence[Path]) -> list[str]:
    """Write the files to the disk, and return their digests: processor and disk are at work at the same time."""
    try:
        with ThreadPoolExecutor(4) as threads:
            synced, digests = threads.map(sync, files), threads.map(digest, files)
            list(synced)  # raises what one of them raised
            return list(digests)
    except (RuntimeError, MemoryError):  # there is no memory for threads
        for file in files:
            sync(file)
        return [digest(file) for file in files]


def _write_json(path: Path, value: Any) -> None:
    path.write_text(to_json(value) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal. It is computed once a process for a file that stays as it is."""
    state = settled_state(path)
    return _digest(path, state) if state else _digest.__wrapped__(path, state)


@lru_cache(256)
def _digest(path: Path, state: bytes | None) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, *needed: str) -> dict[str, str]:
    """Return the digest of each of a checkpoint's files. Raises Damaged where one is missing or has changed."""
    try:
        digests = _read_json(folder / MANIFEST)["sha256"]
        wanted = {MODEL, NET, *needed}
        if not wanted <= digests.keys() or not all(name in OURS or may_be_kept(name) for name in digests):
            raise KeyError(wanted)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{folder / MANIFEST}: {_what(error, 'is not a list of digests')}.") from None
    for name, written in digests.items():
        try:
            present = digest(folder / name)
        except OSError as error:
            raise Damaged(f"{folder / name}: {_what(error)}.") from None
        if present != written:
            raise Damaged(f"{folder / name}: is damaged: its SHA-256 is not the one in {MANIFEST}.")
    return dict(digests)


def load_net(folder: Path) -> dict[str, Any]:
    """Return what net.json holds: what rebuilds the net, its epoch and its step. Raises Damaged."""
    verify(folder)
    return _read(folder / NET, _read_net)


def load_parts(folder: Path) -> dict[str, PartState]:
    """Return the parts' states, by their places in the spec, tensors on the CPU. Raises Damaged."""
    digests = verify(folder)

    def read(packed: Mapping[str, Any]) -> PartState:
        files = {str(name): _read_file(folder, name, digests) for name in packed["files"]}
        return PartState(dict(packed["values"]), files)

    parts = _unpacked(folder, "parts")
    return _read(folder / NET, lambda _: {where: read(packed) for where, packed in parts.items()})


def _read_file(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    if name not in digests or not may_be_kept(name):  # a file that the manifest does not name is never opened
        raise Damaged(f"{folder / NET}: names {name!r}, which is not in {MANIFEST}.")
    return (folder / name).read_bytes()


def _read_net(path: Path) -> dict[str, Any]:
    net = _read_json(path)
    return {**net, "epoch": int(net["epoch"]), "val": dict(net["val"])}


def load_weights(folder: Path, model: nn.Module, heads: nn.Module | None = None) -> None:
    """Put a checkpoint's weights into `model` and, where it has any, `heads`. Raises Damaged."""
    into = {MODEL: model} if heads is None or not heads.state_dict() else {MODEL: model, HEADS: heads}
    verify(folder, *into)
    for name, module in into.items():
        device = str(next(module.parameters()).device)
        _read(folder / name, partial(load_model, module, device=device))


def load_objective(folder: Path, load: Callable[[dict[str, Any]], None]) -> None:
    """Have `load` take a checkpoint's state of the objective. Raises Damaged, also where that raises."""
    state = _unpacked(folder, "objective")
    _read(folder / NET, lambda _: load(state))


def load_val(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's val metrics, large arrays as tensors; None for what is undefined. Raises Damaged."""
    return _unpacked(folder, "val")


def _unpacked(folder: Path, key: str) -> dict[str, Any]:
    """Return what net.json has under `key`, with its tensors."""
    digests = verify(folder)
    tensors = _read(folder / NET_TENSORS, load_file) if NET_TENSORS in digests else {}
    return _read(folder / NET, lambda path: dict(unpack(_read_json(path)[key], tensors)))


def load_tensors(folder: Path, name: str = MODEL) -> dict[str, Tensor]:
    """Return a checkpoint's weights by name, on the CPU; nothing where it has no file of that name. Raises Damaged."""
    return _read(folder / name, load_file) if name in verify(folder) else {}


def load_state(folder: Path) -> dict[str, Any]:
    """Return the state that was saved, its tensors on the CPU. Raises Damaged."""
    verify(folder, STATE, STATE_TENSORS)
    tensors = _read(folder / STATE_TENSORS, load_file)
    return _read(folder / STATE, lambda path: dict(unpack(_read_json(path), tensors)))


def _read(path: Path, how: Callable[[Path], T]) -> T:
    try:
        return how(path)
    except Damaged:
        raise
    except Exception as error:  # its digest is right, so this file was made to fit its manifest, not by ftrun
        raise Damaged(f"{path}: does not hold what it should: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _what(error: Exception, otherwise: str = "cannot be read") -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else otherwise


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
