"""Weight files as they come: read, or named for what they are; never the advice to run what is in them."""

import argparse
import gzip
import json
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ftrun import SpecError
from ftrun_weights import read_weights

OWN = {
    "stem.weight": torch.ones(2, 3),
    "stem.bias": torch.ones(2),
    "fc.weight": torch.ones(5, 2),
    "fc.bias": torch.ones(5),
}


def some(scale=1.0, prefix="", **more):
    return {f"{prefix}{name}": tensor * scale for name, tensor in OWN.items()} | more


def saved(path: Path, value) -> Path:
    torch.save(value, path)
    return path


class Model(nn.Module):
    """A whole one, to be pickled."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3, 2)


NESTS = {
    "plain": some(),
    "ordered": OrderedDict(some()),
    **{
        key: {key: some(), "epoch": 3}
        for key in ("state_dict", "model_state_dict", "model", "net", "network", "teacher", "ema", "whatever")
    },
    "twice": {"checkpoint": {"model": some()}, "args": argparse.Namespace(lr=0.1, path=Path("runs"))},
    "with an optimizer": {
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2, 3), "step": torch.tensor(1.0)}}},
        "net": some(),
        "best": np.float64(0.9),
        "history": np.arange(3),
    },
    **{
        prefix: some(prefix=prefix)
        for prefix in (
            "module.", "model.", "backbone.", "encoder.", "_orig_mod.", "module._orig_mod.", "teacher.backbone.",
            "_forward_module.model.", "student.module.",
        )
    },
    "compiled inside": {name.replace("stem.", "stem._orig_mod."): tensor for name, tensor in some().items()},
    "nest and prefix": {"state_dict": some(prefix="model.backbone.")},
}  # fmt: skip


@pytest.mark.parametrize("content", NESTS.values(), ids=NESTS.keys())
def test_a_state_dict_is_found_in_its_nest_and_under_its_prefix(tmp_path, content):
    read = read_weights(saved(tmp_path / "w.pth", content), OWN, head="fc")
    assert {name: tensor.tolist() for name, tensor in read.tensors.items()} == {
        name: tensor.tolist() for name, tensor in OWN.items()
    }
    assert read.notes == []


def test_the_content_decides_not_the_name(tmp_path):
    save_file(some(), tmp_path / "a.pth")
    saved(tmp_path / "a.safetensors", some())
    for name in ("a.pth", "a.safetensors"):
        assert read_weights(tmp_path / name).tensors.keys() == OWN.keys()


def test_a_legacy_file_is_read(tmp_path):
    torch.save(some(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "old.pth", OWN).tensors.keys() == OWN.keys()


@pytest.mark.parametrize("averaged", ["model_ema", "ema", "state_dict_ema"])
def test_of_two_that_fit_the_averaged_one_is_taken_and_that_is_a_note(tmp_path, averaged):
    path = saved(tmp_path / "w.pth", {"model": some(1), averaged: some(2, "module.", n_averaged=torch.tensor(3))})
    read = read_weights(path, OWN, head="fc")
    assert read.tensors["stem.bias"].tolist() == [2, 2]
    assert read.notes == [
        f"{path}: its {averaged} is taken; it has model too",
        f"{path}: 1 tensors are left out, no part of the model: n_averaged",
    ]


def test_the_teacher_goes_before_the_student(tmp_path):
    heads = {"head.mlp.0.weight": torch.ones(1)}
    both = {"student": some(1, "backbone.", **heads), "teacher": some(2, "backbone.", **heads)}
    read = read_weights(saved(tmp_path / "dino.pth", both), OWN)
    assert read.tensors["stem.bias"].tolist() == [2, 2]
    assert any("left out" in note and "head.mlp.0.weight" in note for note in read.notes)


@pytest.mark.parametrize("outputs", [None, 7])
def test_a_head_of_another_size_or_none_is_the_models_own_and_that_is_a_note(tmp_path, outputs):
    state = {name: tensor * 2 for name, tensor in OWN.items() if not name.startswith("fc")}
    if outputs:
        state |= {"fc.weight": torch.ones(outputs, 2), "fc.bias": torch.ones(outputs)}
    read = read_weights(saved(tmp_path / "w.pth", state), OWN, head="fc")
    assert read.tensors["fc.weight"] is OWN["fc.weight"]
    (note,) = read.notes
    wanted = (
        "its head is left out, of other classes: fc.weight [7, 2], fc.bias [7]" if outputs else "it has no head (fc)"
    )
    assert note.endswith(wanted)


def whole(path):
    torch.save(Model(), path)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/model.bin", b"x")


def tarred(path):
    inner = path.with_name("inner.bin")
    inner.write_bytes(b"x" * 10)
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "inner.bin")


def scripted(path):
    with zipfile.ZipFile(path, "w") as archive:  # as torch.jit.save lays it out
        for name in ("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"):
            archive.writestr(name, b"")


def arrays(path):
    with path.open("wb") as file:
        np.savez(file, a=np.ones(2))


def keras(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"x")


def cut_off(path):
    torch.save(some(), path)
    path.write_bytes(path.read_bytes()[:-200])


def cut_off_safetensors(path):
    save_file(some(), path)
    path.write_bytes(path.read_bytes()[:-10])


def cut_off_header(path):
    save_file(some(), path)
    path.write_bytes(path.read_bytes()[:40])


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0"
OTHERS = {
    "LFS pointer": (LFS, "is a pointer of Git LFS: the file itself was not fetched"),
    "web page": (b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page (HTML)"),
    "XML": (b"<?xml version='1.0'?><Error>NoSuchKey</Error>", "is XML"),
    "empty": (b"", "is empty, 0 bytes long"),
    "index": (
        json.dumps({"weight_map": {"a": "m-1.bin", "b": "m-2.bin"}}).encode(),
        "in 2 other files, such as m-1",
    ),
    "JSON": (b'{"a": 1}', "is JSON, no weights"),
    "Keras, HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is an HDF5 file, as Keras and TensorFlow write them"),
    "Keras, zip": (keras, "is a model of Keras"),
    "ONNX": (ONNX, "is a whole model in Protocol Buffers, written by pytorch"),
    "GGUF": (b"GGUF\3\0\0\0", "is a GGUF file"),
    "gzip": (gzip.compress(b"abc"), "is compressed with gzip"),
    "zip": (zipped, "is a zip archive of 1 files, such as weights/model.bin"),
    "tar": (tarred, "is a tar archive"),
    "text": (b"Not Found", "is a text: 'Not Found'"),
    "TorchScript": (scripted, "is a TorchScript program"),
    "NumPy": (arrays, "is an archive of NumPy arrays"),
    "anything": (bytes(range(200, 256)) * 3, "is none: it begins with"),
    "numbers": (lambda path: torch.save({"a": 1}, path), "holds no state dict (names and tensors)"),
    "one tensor": (lambda path: torch.save(torch.ones(2), path), "holds no state dict (names and tensors)"),
    "cut off": (cut_off, "is damaged or cut off ("),
    "cut off, safetensors": (cut_off_safetensors, "is damaged or cut off ("),
    "cut off, header": (cut_off_header, "is cut off: it has 40 bytes"),
    "cut off, zip": (b"PK\3\4junk", "is damaged or cut off (8 bytes)"),
    "whole model": (whole, "is a whole pickled object: to read it is to run its code ("),
    "whole model, nested": (lambda path: torch.save({"model": Model()}, path), "is a whole pickled object"),
    "pickle": (pickle.dumps({"a": print}, protocol=2), "is a whole pickled object: to read it is to run its code ("),
    "folder": (lambda path: (path.mkdir(), save_file(some(), path / "m.safetensors")), "Name a file in it: m.safetens"),
}


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(("content", "message"), OTHERS.values(), ids=OTHERS.keys())
def test_what_holds_no_weights_is_named_for_what_it_is(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(SpecError) as caught:
        read_weights(path, OWN)
    assert str(caught.value).startswith(f"weight file {path} ")
    assert message in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_no_code_of_a_file_is_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return print, ("attacked",)

    path = saved(tmp_path / "evil.pth", {"state_dict": some(), "extra": Attack()})
    with pytest.raises(SpecError, match=r"to run its code \(builtins\.print"):
        read_weights(path, OWN)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SpecError, match="there is no weight file"):
        read_weights(tmp_path / "gone.pth")
