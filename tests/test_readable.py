"""A run folder needs no ftrun: with the net's own library and the guide's code alone, the run's figures come out."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warm
from PIL import Image
from support import tiny_spec, write_spec

GUIDE = (Path(__file__).parents[1] / "docs" / "guide" / "run-folder.md").read_text()
NAMES = ("ant", "bee", "cat")

# Runs the code, and what follows from it for every file, where no module of ftrun can be imported.
ALONE = """
import builtins, sys

true_import = builtins.__import__

def no_ftrun(name, *rest, **more):
    if name.split(".")[0].startswith("ftrun"):
        raise ImportError(f"{name} must not be needed")
    return true_import(name, *rest, **more)

builtins.__import__ = no_ftrun
sys.modules["ftrun"] = None
code, files = sys.argv[1], sys.argv[2:]
once, each = code.split("batch = normalise", 1)
exec(once)
outputs = []
for file in files:
    exec("batch = normalise" + each.replace("an.jpg", file))
    outputs.append(output)
from safetensors.torch import load_file
outputs = torch.cat(outputs)
kept = load_file("run/predictions/test.safetensors")
assert kept["ids"].tolist() == list(range(len(files)))
apart = (outputs.softmax(1) - kept["outputs/label"].softmax(1)).abs().max().item()
accuracy = (outputs.argmax(1) == kept["truth/label"]).double().mean().item()
print(json.dumps({"apart": apart, "accuracy": accuracy, "names": about["targets"]["label"]["names"]}))
"""

NETS = {
    "timm": (
        {"backbone": {"name": "timm", "model": "test_resnet", "pretrained": False}, "input": {"size": 32}},
        "import timm\nimport torch",
        "timm.create_model('test_resnet', num_classes=3)",
    ),
    "torchvision": (
        {
            "backbone": {"name": "torchvision", "model": "mobilenet_v3_small", "weights": None},
            "input": {"size": [40, 32], "crop": 0.8, "interpolation": "bicubic"},
        },
        "import torch\nimport torchvision",
        "torchvision.models.get_model('mobilenet_v3_small', weights=None, num_classes=3)",
    ),
}


@pytest.fixture
def images(site) -> Path:
    """train/ and test/ of three classes, of different sizes, wide and tall, grey and in colour."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 10)):
        for label, name in enumerate(NAMES):
            for number in range(count):
                path = Path("images", split, name, f"{number:02}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                shape = (35 + 5 * (number % 4), 60 - 7 * (number % 5), *([3] if number % 3 else []))
                noise = generator.integers(0, 150, shape) + 50 * label
                Image.fromarray(noise.astype(np.uint8)).save(path)
    return Path("images")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def the_guides(library: str, call: str) -> str:
    """The guide's code, for another net and another folder."""
    (code,) = [block for block in blocks(GUIDE) if "load_model" in block]
    for old, new in {
        "import timm\nimport torch": library,
        'timm.create_model("tf_efficientnet_lite0", num_classes=10)': call,
        "runs/quickstart-1/": "run/",
    }.items():
        assert code.count(old) >= 1
        code = code.replace(old, new)
    return code


@pytest.mark.parametrize(("changes", "library", "call"), NETS.values(), ids=NETS)
def test_the_figures_come_out_with_the_librarys_own_code(changes: dict[str, Any], library, call, images, ftrun) -> None:
    spec = tiny_spec(
        dataset={"name": "image-folder", "path": str(images)},
        optimizer={"name": "adamw", "lr": 0.003},
        loss="cross-entropy",
        metrics=["accuracy"],
        train={"epochs": 3, "batch_size": 12, "precision": "fp32", "workers": 0},
        **changes,
    )
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    code = the_guides(library, call)
    files = sorted(map(str, Path("images/test").rglob("*.png")))
    process = warm.Process(code, *files, code=ALONE)
    out, errors = process.communicate()
    assert process.wait() == 0, errors
    found = json.loads(out)
    results = json.loads(Path("run/results.json").read_text())
    assert found["accuracy"] == results["test"]["accuracy"]
    assert found["apart"] < 1e-5
    assert found["names"] == list(NAMES)
    (in_the_card,) = [block for block in blocks(Path("run/README.md").read_text()) if "load_model" in block]
    assert in_the_card.replace("checkpoints/best/", "run/checkpoints/best/") == code
