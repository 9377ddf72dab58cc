"""The plugin keeps ftrun's contract: one test for each property and part."""

from pathlib import Path
from tempfile import TemporaryDirectory

import tinyencoder

from ftrun_devkit import check_plugin

_FOLDER = TemporaryDirectory()  # removed as this process ends
TINY = {"name": "transformers", "model": str(tinyencoder.write(Path(_FOLDER.name))), "pretrained": False}

test_contract = check_plugin(
    "ftrun_transformers",
    options={
        "transformers": {key: value for key, value in TINY.items() if key != "name"},
        "resize-vocabulary": {"words": ["thunder", "spoon"], "most": 3},
    },
    backbone=TINY,
)
