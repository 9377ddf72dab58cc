"""The code that goes with an exported file, and a model card's, prepare pictures of all kinds as ftrun does."""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import tiny_spec, write_spec

NEAR = 0.02  # of a probability: pixels may be rounded otherwise by one
BEGIN = 1.7e9  # seconds: float32 has no single ones there


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Two classes of pictures, none of them plain: wide, tall, turned, transparent, palette, grey, grey of 16 bits."""
    draw, folder = np.random.default_rng(0), tmp_path_factory.mktemp("odd")
    for label in ("a", "b"):
        (folder / label).mkdir()
        for number in range(7):
            height, width = draw.integers(24, 90, 2)
            noise = draw.integers(0, 90, (height, width, 4), dtype=np.uint8)
            noise[..., 3] = 255
            noise[: height // 3, :, "ab".index(label)] += 150
            noise[:, : width // 4, 3] = 40 if number == 2 else 255
            image, name = Image.fromarray(noise[..., :3]), folder / label / str(number)
            if number == 1:
                exif = Image.Exif()
                exif[0x0112] = 6
                image.save(f"{name}.jpg", exif=exif, quality=95)
            elif number == 2:
                Image.fromarray(noise).save(f"{name}.png")
            elif number == 3:
                image.convert("P").save(f"{name}.png", transparency=3)
            elif number == 4:
                image.convert("L").save(f"{name}.png")
            elif number == 5:
                Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16).save(f"{name}.png")  # 12 bits
            else:
                image.save(f"{name}.png")
    return folder


@pytest.fixture
def run(site, ftrun, pictures) -> dict[str, dict[str, float]]:
    """A run on them, and what `ftrun predict` says of each."""
    spec = tiny_spec(
        dataset={"name": "image-folder", "path": str(pictures)},
        backbone={"name": "timm", "model": "test_resnet", "pretrained": False},
        input={"size": [24, 32], "crop": 0.9},
        loss="cross-entropy",
        optimizer={"name": "adamw", "lr": 0.01},
        train={"epochs": 2, "batch_size": 4, "precision": "fp32", "workers": 0},
    )
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("run/checkpoints/best/net.json").read_text())["input"]["white"] == 4095
    answers = ftrun("predict", "run", str(pictures), "--json", "--top", "2")
    assert answers.exit_code == 0, answers.output
    return {each["file"]: each["label"] for each in json.loads(answers.stdout)}


@pytest.mark.parametrize(
    "options", [["safetensors"], pytest.param(["onnx", "--raw"], marks=pytest.mark.slow)], ids=" ".join
)
def test_values_are_those_of_predict_too(options, site, ftrun, pictures, monkeypatch, capsys):
    files = sorted(str(each) for each in pictures.glob("*/*"))
    lines = [f'"{file}",{BEGIN + 60 * (number % 5)}' for number, file in enumerate(files)]
    Path("times.csv").write_text("\n".join(["file,time", *lines]))
    spec = tiny_spec(
        dataset={"name": "table-images", "path": "times.csv", "image": "file", "targets": {"time": "values"}},
        backbone={"name": "timm", "model": "test_resnet", "pretrained": False},
        input={"size": [24, 32]},
        loss="mse",
        train={"epochs": 1, "batch_size": 4, "precision": "fp32", "workers": 0},
    )
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    (wanted,) = json.loads(ftrun("predict", "run", files[0], "--json").stdout)
    result = ftrun("export", "run", "--format", *options, "--out", f"net.{options[0]}")
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(sys, "argv", ["", files[0]])
    capsys.readouterr()
    runpy.run_path(f"net.{options[0]}.py", run_name="__main__")
    (said,) = re.findall(r"'time': ([\d.]+)", capsys.readouterr().out)
    assert float(said) - BEGIN == pytest.approx(wanted["time"] - BEGIN, rel=0.01, abs=2)
    names: dict[str, Any] = {}
    code = card_code().replace('"an.jpg"', repr(files[0])).replace("checkpoints/", "run/checkpoints/")
    exec(code, names)
    assert float(names["output"]) - BEGIN == pytest.approx(wanted["time"] - BEGIN, rel=0.01, abs=2)


def card_code() -> str:
    card = Path("run/README.md").read_text()
    (code,) = (each for each in re.findall("```python\n(.*?)```", card, re.S) if "load_model" in each)
    return code


def distance(scores: Any, wanted: dict[str, float]) -> float:
    return max(abs(float(score) - wanted[name]) for name, score in zip(("a", "b"), scores, strict=True))


def test_the_code_that_goes_with_a_file_gives_what_ftrun_gives(run, ftrun):
    for kind, suffix in (("onnx", "onnx"), ("torch-export", "pt2"), ("safetensors", "safetensors")):
        result = ftrun("export", "run", "--format", kind)
        assert result.exit_code == 0, result.output
        code = runpy.run_path(f"run/exports/run.{suffix}.py")
        assert code["INPUT"]["size"] == [24, 32]
        for file, wanted in run.items():
            outputs = code["compute"](code["prepare"](file, code["INPUT"]))
            assert distance(outputs["label"][0], wanted) < NEAR, (kind, file)
    code = card_code()
    for file, wanted in run.items():
        names: dict[str, Any] = {}
        exec(code.replace('"an.jpg"', repr(file)).replace("checkpoints/", "run/checkpoints/"), names)
        assert distance(torch.softmax(names["output"], 1)[0], wanted) < NEAR, file
