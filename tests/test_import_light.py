"""Help, listings, the schema and a spec's check answer without loading what only a run needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import TINY, tiny_spec, write_spec

HEAVY = {
    "torch", "torchvision", "timm", "torchmetrics", "transformers", "numpy", "sklearn", "PIL", "safetensors",
    "tensorboard", "rich", "scipy", "pandas", "onnx", "onnxruntime", "onnxscript", "matplotlib", "jinja2",
    "huggingface_hub",
    "tokenizers", "peft",
}  # fmt: skip
CODE = f"""
import json, sys
from ftrun.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stopped:
    code = stopped.code
print(json.dumps([code, sorted({HEAVY} & set(sys.modules))]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["run", "--help"], 0),
        (["plugins"], 0),
        (["plugins", "--json"], 0),
        (["plugins", "backbone"], 0),
        (["plugins", "zzz"], 2),
        (["plugins", "--why", "optim"], 0),
        (["plugins", "--parts", "own_parts.py"], 0),
        (["schema"], 0),
        (["new-plugin", "backbone", "mine"], 0),
        (["new-plugin", "backbon", "mine"], 2),
        (["schema", "--parts", "own_parts.py"], 0),
        (["check", "right.json"], 0),
        (["check", "wrong.json"], 2),
        (["check", "local.json"], 0),
        (["wrong.json"], 2),
        (["right.json", "--set", "seed=x"], 2),
        (["nowhere.json"], 2),
        (["evaluate", "nowhere"], 2),
        (["predict", "nowhere", "a.png"], 2),
        (["runs", "."], 0),
        (["export", "nowhere"], 2),
        (["export", "begun", "--format", "onxx"], 2),
        (["export", "begun", "--format", "onnx", "--set", "opset=x"], 2),
        (["export", "begun", "--format", "safetensors", "--int8"], 2),
        (["report", "nowhere"], 2),
        (["compare", "nowhere", "nowhere"], 2),
        (["compare", "begun"], 2),
        (["push", "nowhere", "a/b"], 2),
        (["push", "begun", "a/b", "--to", "hugginface"], 2),
    ],
    ids=str,
)
def test_nothing_heavy_is_loaded(arguments, code, site):
    write_spec(tiny_spec(scheduler="cosine", metrics=["accuracy"], augment=["horizontal-flip"]), "right.json")
    write_spec(tiny_spec(optimizer={"name": "sgd", "lr": "x"}), "wrong.json")
    Path("own_parts.py").write_text(TINY.replace('Literal["tiny', 'Literal["mine').replace('"recorder"', '"mine"'))
    write_spec(tiny_spec(dataset="mine", parts="own_parts.py"), "local.json")
    Path("begun/checkpoints/best").mkdir(parents=True)
    Path("begun/resolved.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [code, []]
