"""`ftrun export`: a file that needs no ftrun and says what the run says; one that says anything else is not kept."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import quickonnx  # noqa: F401
import tinyencoder
import tokenizers
import torch
from PIL import Image
from support import install, tiny_spec, write_spec

import ftrun as api
from ftrun_devkit import tiny
from ftrun_export import Request, export, files
from ftrun_export.parts import TorchExport

NAMES = ("ant", "bee", "cat")
TO_CONV = ["replace-head", "fc-to-conv"]
NETS = {
    "resnet after fc-to-conv": {
        "backbone": {"name": "timm", "model": "test_resnet", "pretrained": False},
        "modifiers": TO_CONV,
    },
}
# Each is one representative: convolutions, a modifier, and pooling here; attention leaves with the transformer's texts.
MORE_NETS = {
    "vit": {"backbone": {"name": "timm", "model": "test_vit", "pretrained": False}},
    "resnet": {"backbone": {"name": "timm", "model": "test_resnet", "pretrained": False}},
    "convnext": {"backbone": {"name": "timm", "model": "test_convnext", "pretrained": False}},
    "efficientnet-lite after fc-to-conv": {"backbone": "efficientnet-lite0", "modifiers": TO_CONV},
}


@pytest.fixture
def images(site) -> Path:
    """train/ and test/ of three classes: JPEGs of different sizes."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 7)):
        for label, name in enumerate(NAMES):
            for number in range(count):
                pixels = draw.integers(0, 120, (30 + number % 3, 36, 3)) + 60 * label
                path = Path("images", split, name, f"{number}.jpg")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return Path("images")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """What runs have left, by their specs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(site, ftrun, runs) -> Callable[..., Path]:
    """Make a run, of a spec with these changes, in `run`: a copy, where another test has made one of the same spec."""

    def start(**changes: Any) -> Path:
        spec = tiny_spec(**changes)
        spec["train"] = {"workers": 0, **spec["train"]}
        made = runs / hashlib.sha256(json.dumps(spec).encode()).hexdigest()
        if not made.exists():
            result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
            assert result.exit_code == 0, result.output
            shutil.copytree("run", made)
        else:
            shutil.copytree(made, "run")
        return Path("run")

    return start


def exported(ftrun: Any, *arguments: str) -> dict[str, Any]:
    result = ftrun("export", "run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def left() -> list[str]:
    """What is in the working folder and in the run's folder of exports, hidden files too."""
    exports = Path("run/exports")
    return sorted([each.name for place in (Path(), exports) if place.is_dir() for each in place.iterdir()])


def in_batches(run_batch: Callable[[torch.Tensor], Any], images: torch.Tensor) -> np.ndarray:
    return np.concatenate([np.asarray(run_batch(batch)) for batch in images.split(5)])


# What it says is what the run says


@pytest.mark.parametrize(
    "changes",
    [
        *(pytest.param(changes, id=name) for name, changes in NETS.items()),
        *(pytest.param(changes, id=name, marks=pytest.mark.slow) for name, changes in MORE_NETS.items()),
    ],
)
def test_all_say_the_same_of_every_test_image(changes, images, run, ftrun):
    """evaluate, predict, ftrun.load, ONNX and torch.export: class equal, probability within 1e-4."""
    train = {"epochs": 1, "batch_size": 8, "precision": "fp32", "val_fraction": 0.3}
    data = {"name": "image-folder", "path": str(images)}
    folder = run(dataset=data, input={"size": 32}, train=train, metrics=["accuracy"], **changes)
    reports = {name: exported(ftrun, "--format", name) for name in ("onnx", "torch-export")}
    files = sorted(map(str, images.glob("test/*/*.jpg")))
    model = api.load(folder)
    expected = np.array([[each.scores[name] for name in NAMES] for each in model.predict(files, top=3)])
    ready = torch.cat([model.input.collate([model.input.read(file)]) for file in files])
    session = onnxruntime.InferenceSession(reports["onnx"]["file"])
    program = torch.export.load(reports["torch-export"]["file"]).module()
    predicted = json.loads(ftrun("predict", folder, "images/test", "--top", "3", "--json").stdout)
    found = {
        "predict": np.array([[each["label"][name] for name in NAMES] for each in predicted]),
        "onnx": in_batches(lambda batch: session.run(["label"], {"image": batch.numpy()})[0], ready),
        "torch-export": in_batches(lambda batch: program(batch)["label"].detach(), ready),
    }
    for name, scores in found.items():
        assert np.abs(scores - expected).max() <= 1e-4, name
        assert (scores.argmax(1) == expected.argmax(1)).all(), name
    right = [NAMES.index(Path(file).parent.name) for file in files] == expected.argmax(1)
    assert json.loads(ftrun("evaluate", folder, "--json").stdout)["test"]["accuracy"] == pytest.approx(right.mean())
    for report in reports.values():
        assert report["parity"]["targets"]["label"]["agreement"] == 1
        assert report["parity"]["batches"][:2] == [1, 3]


ALONE = """
import json, sys
import numpy, onnxruntime
from PIL import Image
file, *paths = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
about = session.get_modelmeta().custom_metadata_map
(height, width), names = json.loads(about["input"])["size"], json.loads(about["targets"])["label"]["names"]
images = [Image.open(path).convert("RGB") for path in paths]
assert json.loads(about["input"])["crop"] == 1 and json.loads(about["input"])["interpolation"] == "bilinear"
images = [each.resize((width, height), Image.BILINEAR) for each in images]
batch = numpy.stack([numpy.asarray(each).transpose(2, 0, 1) for each in images])
(scores,) = session.run(["label"], {"image": batch})
assert not {"ftrun", "torch"} & set(sys.modules)
print(json.dumps([[names[row.argmax()], float(row.max())] for row in scores]))
"""


def test_onnx_runtime_alone_needs_the_file_and_an_image(images, run, ftrun):
    folder = run(dataset={"name": "image-folder", "path": str(images)}, input={"size": 24})
    file = exported(ftrun, "--out", "net.onnx")["file"]
    Image.open("images/test/bee/0.jpg").resize((24, 24)).save("exact.png")
    Image.open("images/test/cat/0.jpg").resize((31, 31)).save("larger.png")
    paths = ["exact.png", "larger.png"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, file, *paths], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout)
    expected = api.load(folder).predict(paths)
    assert [name for name, _ in found] == [each.name for each in expected]
    assert found[0][1] == pytest.approx(expected[0].score, abs=1e-4)
    assert found[1][1] == pytest.approx(expected[1].score, abs=1e-2)  # another library has resized this one


def test_the_file_goes_into_the_run_folder_with_its_report(run, ftrun):
    run(train={"epochs": 2, "batch_size": 16, "precision": "bf16"})
    before = left()
    result = ftrun("export", "run", "--format", "onnx")
    assert result.exit_code == 0, result.output
    assert sorted(set(left()) - set(before)) == ["run.onnx", "run.onnx.py", "run.onnx.report.json"]
    assert "takes image, uint8 [batch, 3, 8, 8]; gives label [batch, 3]" in result.stdout
    report = json.loads(Path("run/exports/run.onnx.report.json").read_text())
    assert report["parity"]["targets"]["label"]["max_difference"] <= report["parity"]["bound"] == 1e-4
    assert report["parity"]["samples"] == 6, "all of val, which is cut from train"
    assert report["targets"]["label"]["names"] == ["class 0", "class 1", "class 2"]
    assert report["files"]["run.onnx"]["bytes"] == Path("run/exports/run.onnx").stat().st_size
    assert report["versions"]["onnxruntime"] == onnxruntime.__version__
    again = ftrun("export", "run", "--format", "onnx")
    assert again.exit_code == 2
    assert "run/exports/run.onnx: exists already, and is left as it is. Name another file with --out" in again.output


def test_the_bare_net(run, ftrun):
    folder = run()
    report = exported(ftrun, "--format", "onnx", "--raw")
    assert (report["raw"], report["takes"]["image"]["dtype"]) == (True, "float32")
    assert report["file"] == "run/exports/run-raw.onnx"
    model = api.load(folder)
    images = model.input.example(4)
    session = onnxruntime.InferenceSession(report["file"])
    (logits,) = session.run(None, {"image": model.input.prepare(images).numpy()})
    probabilities = torch.from_numpy(logits).softmax(1)
    for row, each in zip(probabilities.tolist(), model.predict(images, top=3), strict=True):
        assert [each.scores[f"class {index}"] for index in range(3)] == pytest.approx(row, abs=1e-5)


MANY = '''
from typing import Literal
import ftrun

class Many(ftrun.Dataset):
    """Targets of every kind."""

    name: Literal["many"]

    def build(self):
        import torch

        names = {"relu": ftrun.Classes(names=("a", "b")), "softmax": ftrun.Labels(names=("x", "y", "z")),
                 "how much": ftrun.Values(names=("w",))}
        def split(count, seed):
            draw = torch.Generator().manual_seed(seed)
            images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=draw)
            return ftrun.TensorSplit(images, {
                "relu": torch.arange(count) % 2,
                "softmax": (torch.rand(count, 3, generator=draw) < 0.5).float(),
                "how much": images.float().mean((1, 2, 3))[:, None]})
        return ftrun.Splits(train=split(48, 0), val=split(12, 1), targets=names)

class Any(ftrun.Loss):
    """Something for each kind."""

    name: Literal["any"]
    kinds = ("classes", "labels", "values")

    def build(self, target, values):
        from torch import nn
        losses = {"classes": nn.CrossEntropyLoss, "labels": nn.BCEWithLogitsLoss, "values": nn.MSELoss}
        return losses[target.kind]()

@ftrun.hookimpl
def ftrun_datasets():
    return [Many]

@ftrun.hookimpl
def ftrun_losses():
    return [Any]
'''


def test_several_targets_of_every_kind_whatever_their_names(site, run, ftrun):
    """The names are such as the exporter gives to values of its own."""
    install(site, "ftrun-many", MANY)
    folder = run(dataset="many", loss="any", optimizer={"name": "tiny-sgd", "lr": 1e-6})
    model = api.load(folder)
    images = model.input.example(5)
    expected = model.predict(images, top=2)
    int8 = exported(ftrun, "--format", "onnx", "--int8", "--max-drop", "1")["int8"]
    assert [each["figure"] for each in int8["targets"].values()] == ["accuracy", "accuracy", "r2"]
    report = exported(ftrun, "--out", "net.onnx")
    assert report["format"] == "onnx", "told by the name of the file"
    assert list(report["parity"]["targets"]) == ["relu", "softmax", "how much"]
    session = onnxruntime.InferenceSession("net.onnx")
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"image": images.numpy()}), strict=True))
    assert list(found) == ["relu", "softmax", "how much"]
    for index, each in enumerate(expected):
        for target, prediction in each.items():
            scores = dict(zip(model.targets[target].names, found[target][index].tolist(), strict=True))
            assert scores == pytest.approx(dict(prediction.scores), rel=1e-4)


@pytest.mark.parametrize(
    ("backbone", "length"), [("transformers", "length"), ("lstm", 6)], ids=["transformers", "lstm"]
)
def test_texts_go_in_as_tokens_and_the_tokenizer_lies_beside(backbone, length, site, ftrun):
    """A transformer takes texts of any length; an LSTM's are filled up to one."""
    Path("parts_of_texts.py").write_text(Path(tiny.__file__).read_text())
    options = {"model": str(tinyencoder.write(Path("tiny").absolute())), "pretrained": False}
    result = ftrun(
        write_spec(
            {
                "parts": "parts_of_texts.py",
                "dataset": "tiny-texts",
                "backbone": {"name": backbone, **(options if backbone == "transformers" else {})},
                "input": {"length": 6},
                "loss": "cross-entropy",
                "optimizer": "adamw",
                "train": {"epochs": 1, "batch_size": 8, "val_fraction": 0.4, "precision": "fp32"},
            }
        ),
        *("--out", "run", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.output
    texts = ["rain and wind", "a ticket for the train", "tea"]
    expected = [each.scores for each in api.load("run").predict(texts, top=3)]
    report = exported(ftrun, "--out", "net.onnx")
    assert report["takes"] == {"text": {"dtype": "int64", "shape": ["batch", length]}}
    assert {"net.onnx", "net.onnx.tokenizer.json"} <= set(report["files"])
    assert exported(ftrun, "--format", "safetensors")["details"]["loads_with"] == "ftrun"
    tokenizer = tokenizers.Tokenizer.from_file("net.onnx.tokenizer.json")
    tokenizer.enable_truncation(6)  # as `input` says
    tokenizer.enable_padding(pad_id=tokenizer.padding["pad_id"], length=None if length == "length" else length)
    tokens = np.array([each.ids for each in tokenizer.encode_batch(texts)], np.int64)
    session = onnxruntime.InferenceSession("net.onnx")
    names = json.loads(session.get_modelmeta().custom_metadata_map["targets"])["label"]["names"]
    (scores,) = session.run(["label"], {"text": tokens})
    for row, each in zip(scores.tolist(), expected, strict=True):
        assert dict(zip(names, row, strict=True)) == pytest.approx(dict(each), abs=1e-4)


def test_8_bit_integers_and_what_they_cost(run, ftrun):
    run(backbone={"name": "tiny", "width": 512}, train={"epochs": 6, "batch_size": 16})
    report = exported(ftrun, "--format", "onnx", "--int8", "--set", "calibration=40")
    int8 = report["int8"]
    figures = int8["targets"]["label"]
    assert Path("run/exports/run-int8.onnx").stat().st_size == int8["bytes"]["after"] < 0.6 * int8["bytes"]["before"]
    assert figures["figure"] == "accuracy"
    assert figures["before"] == 1
    assert figures["before"] - figures["after"] == pytest.approx(figures["lost"])
    assert figures["lost"] <= int8["max_drop"] == 0.02
    assert set(int8["latency_ms"]) == {"1", "16"}
    assert all(times["before"] > 0 and times["after"] > 0 for times in int8["latency_ms"].values())
    assert report["parity"]["targets"]["label"]["max_difference"] <= 1e-4, "of the file in fp32, before"
    assert [each for each in left() if "onnx" in each] == [
        "run-int8.onnx",
        "run-int8.onnx.py",
        "run-int8.onnx.report.json",
    ]


def test_other_data_to_compare_on(run, ftrun, site):
    """Where the run's own data is gone, other data of the same classes does."""
    run()
    resolved = json.loads(Path("run/resolved.json").read_text())
    resolved["spec"]["dataset"]["samples"] = 90
    Path("run/resolved.json").write_text(json.dumps(resolved))
    result = ftrun("export", "run", "--out", "net.pt2")
    assert result.exit_code == 4
    assert "the data is not what this run began with" in result.output
    assert "--dataset" in result.output
    assert not [each for each in left() if "net" in each]
    report = exported(ftrun, "--out", "net.pt2", "--dataset", '{"name": "tiny", "samples": 30}', "--samples", "5")
    assert (report["parity"]["split"], report["parity"]["samples"]) == ("test", 5)


def test_a_run_that_has_not_finished_is_exported_as_far_as_it_is(run, ftrun):
    folder = run()
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "interrupted"}))
    result = ftrun("export", "run", "--format", "torch-export")
    assert result.exit_code == 0
    assert "this run is interrupted: what is exported is its best epoch so far, " in result.stderr


# What does not say the same


WRONG = '''
from typing import Literal
from pydantic import Field
import ftrun

class Wrong(ftrun.Exporter):
    """Writes nothing of use."""

    name: Literal["wrong"]
    suffix = ".wrong"
    quantizes = True
    off: float = Field(0.0, description="What is added to each score.")
    most: int = Field(1000, description="Samples of a batch at most.")
    nan: bool = Field(False, description="Whether to give NaN.")

    def build(self):
        return Form(self)

class Form:
    def __init__(self, part):
        self.part = part

    def write(self, model, file):
        file.write_text("fp32")

    def open(self, model, file):
        def run(inputs):
            if len(inputs) > self.part.most:
                raise ValueError("too many")
            scores = model.module(inputs)["label"] + self.part.off
            if file.read_text() == "int8":
                scores = -scores
            return {"label": scores * float("nan") if self.part.nan else scores}
        return run

    def quantize(self, model, file, into, samples):
        into.write_text("int8")

@ftrun.hookimpl
def ftrun_exporters():
    return [Wrong]
'''


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "off=0.01"], "label: up to 0.01 apart (sample "),
        (["--set", "nan=true"], "label: up to inf apart (sample "),
        (["--set", "most=2"], "what was exported fails on 3 samples of val, so it is not kept: ValueError: too many"),
        (["--int8", "--max-drop", "0.5"], "label: accuracy 1.0000 in fp32, 0.0000 in int8"),
    ],
    ids=["off", "nan", "batch", "int8"],
)
def test_a_file_that_says_something_else_is_not_kept(arguments, message, site, run, ftrun):
    install(site, "ftrun-wrong", WRONG)
    run(train={"epochs": 6, "batch_size": 16})
    before = left()
    result = ftrun("export", "run", "--format", "wrong", *arguments)
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert "so it is not kept" in result.output
    assert left() == before
    assert ftrun("export", "run", "--format", "wrong", *arguments[:-1], "--out", "a.wrong").exit_code != 0


def test_from_python(run):
    folder = run()
    report = export(api.open(folder), Request(TorchExport(name="torch-export")))
    assert report["file"] == "run/exports/run.pt2"
    assert report["versions"].keys() >= {"python", "ftrun", "torch", "ftrun-export", "safetensors"}
    with pytest.raises(api.SpecError, match=r"run/exports/run\.pt2: exists already, and is left as it is"):
        export(api.open(folder), Request(TorchExport(name="torch-export")))


def test_a_larger_difference_may_be_allowed(site, run, ftrun):
    install(site, "ftrun-wrong", WRONG)
    run()
    assert exported(ftrun, "--format", "wrong", "--set", "off=0.01", "--bound", "0.02")["parity"]["bound"] == 0.02


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--format: is required. Installed: onnx, safetensors, torch-export."),
        (["--out", "a.bin"], "--format: is required: no format has files that end in .bin. Installed: onnx,"),
        (["--format", "onxx"], "--format: no exporter named 'onxx'. Did you mean 'onnx'? Installed: onnx,"),
        (["--format", "onnx", "--out", "a.pt2"], "--out a.pt2: files of the format 'onnx' end in .onnx."),
        (["--out", "nowhere/a.onnx"], "--out nowhere/a.onnx: there is no folder nowhere."),
        (["--out", "there.onnx"], "there.onnx: exists already, and is left as it is."),
        (["--format", "onnx", "--set", "opsit=20"], "--set opsit: no such option. Did you mean 'opset'?"),
        (["--format", "onnx", "--set", "opset=3"], "--set opset: must be greater than or equal to 18, but it is 3."),
        (["--format", "onnx", "--set", "opset"], "--set opset: give it as KEY=VALUE, such as opset=20."),
        (["--format", "safetensors", "--int8"], "--int8: the format 'safetensors' has no 8-bit integers. Formats that"),
        (["--format", "onnx", "--dataset", "tny"], "dataset: no dataset named 'tny'. Did you mean 'tiny'?"),
        (["--format", "onnx", "--device", "abacus"], "--device abacus: no such device here."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_on_the_command_line(arguments, message, run, ftrun):
    run()
    Path("there.onnx").write_text("mine")
    result = ftrun("export", "run", *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert result.output.startswith("Error: ") or "not as it was" in result.output
    assert Path("there.onnx").read_text() == "mine"
    assert not Path("run/exports").exists()


def test_what_is_not_a_run_that_can_be_exported(run, ftrun, site):
    folder = run()
    Path("empty").mkdir()
    assert ftrun("export", "ran", "--format", "onnx").exit_code == 2
    assert "ran: no such run folder. Did you mean 'run'?" in ftrun("export", "ran", "--format", "onnx").output
    assert "empty: not the folder of a run" in ftrun("export", "empty", "--format", "onnx").output
    shutil.copytree(folder, "young")
    shutil.rmtree("young/checkpoints/best")
    result = ftrun("export", "young", "--format", "onnx")
    assert (result.exit_code, "young: has no best checkpoint yet" in result.output) == (2, True)
    shutil.copytree(folder, "torn")
    (Path("torn") / "checkpoints" / "best" / "model.safetensors").write_bytes(b"")
    result = ftrun("export", "torn", "--format", "onnx")
    assert (result.exit_code, "model.safetensors: is damaged" in result.output) == (1, True)
    shutil.rmtree(site / "ftrun_tiny-1.0.dist-info")
    result = ftrun("export", "run", "--format", "onnx")
    assert (result.exit_code, "which is not installed. Run: pip install ftrun-tiny" in result.output) == (3, True)


def test_a_format_that_is_not_installed_is_told_with_what_brings_it(alone, site_packages_without_plugins, run, ftrun):
    run()
    result = ftrun("export", "run", "--format", "onnx")
    assert result.exit_code == 3
    assert result.output == (
        "Error: the command 'export' comes from ftrun-export, which is not installed. Run: pip install ftrun-export\n"
    )
    (info,) = [each for place in site_packages_without_plugins for each in Path(place).glob("ftrun_export-*.dist-info")]
    (alone / info.name).symlink_to(info)
    result = ftrun("export", "run", "--format", "onnx")
    assert result.exit_code == 2
    assert result.output == (
        "Error: --format: no exporter named 'onnx'. Installed: safetensors, torch-export. "
        "For onnx: pip install ftrun-onnx\n"
    )
    install(alone, "ftrun-broken", "1 / 0")
    result = ftrun("export", "run", "--format", "onnx")
    assert result.exit_code == 3
    assert "These plugins are installed but broken, and might offer it:\n  ftrun-broken 1.0" in result.output


def test_two_exports_at_once_have_a_folder_each(tmp_path):
    file = tmp_path / "net.onnx"
    left = tmp_path / ".net.onnx.0.new"
    left.mkdir()
    os.utime(left, (0, 0))  # of an export that was killed long ago
    with files.workplace(file) as one, files.workplace(file) as other:
        assert one != other
        (one / file.name).write_text("one")
        assert list(other.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
