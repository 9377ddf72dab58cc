"""The plugin keeps ftrun's contract: one test for each property and part, on a vision transformer and on texts."""

from pathlib import Path
from tempfile import TemporaryDirectory

import tinyencoder

from ftrun_devkit import check_plugin

_FOLDER = TemporaryDirectory()  # removed as this process ends
TINY = {"name": "transformers", "model": str(tinyencoder.write(Path(_FOLDER.name))), "pretrained": False}
OPTIONS = {"lora": {"rank": 2, "dropout": 0.1}}

test_contract_on_images = check_plugin(
    "ftrun_peft",
    options=OPTIONS,
    backbone={"name": "timm", "model": "test_vit", "pretrained": False},
    input={"size": 32},
)
test_contract_on_texts = check_plugin("ftrun_peft", options=OPTIONS, backbone=TINY)
