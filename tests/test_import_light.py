"""Help, listings, the schema and a spec's check answer without loading what only a run needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import TINY, install, tiny_spec, write_spec

HEAVY = {
    "torch", "torchvision", "timm", "torchmetrics", "transformers", "numpy", "sklearn", "PIL", "safetensors",
    "tensorboard", "rich", "scipy", "pandas", "onnx", "onnxruntime", "onnxscript", "matplotlib", "jinja2",
    "huggingface_hub",
    "tokenizers", "peft",
}  # fmt: skip
# One process that has imported the command line alone, and a child of it for each case.
CODE = f"""
import json, os, sys
from ftrun.cli import main
for arguments in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    if os.fork() == 0:
        code = None
        try:
            main(arguments)
        except SystemExit as stopped:
            code = stopped.code
        os.write(writing, json.dumps([code, sorted({HEAVY} & set(sys.modules))]).encode())
        os._exit(0)
    os.close(writing)
    print(os.read(reading, 10000).decode(), file=sys.stderr)
    os.wait()
"""
CASES = [
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
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return each case's exit code and the heavy modules that it has loaded."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "site").mkdir()
    install(folder / "site", "ftrun-tiny", TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_spec(tiny_spec(scheduler="cosine", metrics=["accuracy"], augment=["horizontal-flip"]), "right.json")
        write_spec(tiny_spec(optimizer={"name": "sgd", "lr": "x"}), "wrong.json")
        Path("own_parts.py").write_text(TINY.replace('Literal["tiny', 'Literal["mine').replace('"recorder"', '"mine"'))
        write_spec(tiny_spec(dataset="mine", parts="own_parts.py"), "local.json")
        Path("begun/checkpoints/best").mkdir(parents=True)
        Path("begun/resolved.json").write_text("{}")
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps([arguments for arguments, _ in CASES])],
            env=os.environ | {"PYTHONPATH": "site", "XDG_DATA_HOME": "data"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
    return {str(arguments): json.loads(line) for (arguments, _), line in zip(CASES, lines, strict=True)}


@pytest.mark.parametrize(("arguments", "code"), CASES, ids=str)
def test_nothing_heavy_is_loaded(arguments, code, answers):
    assert answers[str(arguments)] == [code, []]
