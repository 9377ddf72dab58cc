"""torchmetrics is imported without what only its metrics of texts, sounds and pictures need, and works all the same."""

import subprocess
import sys

import warm

ALL_METRICS = """
import sys
import ftrun
import ftrun_metrics

numbers = ftrun.Values(mean=(0.0,), std=(1.0,))
digits = ftrun.Classes(names=tuple("0123456789"))
for metric in ftrun_metrics.ftrun_metrics():
    name = metric.model_fields["name"].annotation.__args__[0]
    metric(name=name).build(digits if "classes" in metric.kinds else numbers)
assert "torchmetrics" in sys.modules
"""


def python(code: str) -> None:
    """Run it in a process of its own, that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_metric_imports_what_it_does_not_need_and_what_was_put_off_comes_when_it_is_used():
    python(f"""{ALL_METRICS}
loaded = {{"transformers", "scipy", "torchvision"}} & sys.modules.keys()
assert not loaded, loaded
from importlib import import_module
arniqa, dists = (import_module(f"torchmetrics.functional.image.{{name}}") for name in ("arniqa", "dists"))
from torchmetrics.functional.text import bert
crop = arniqa.transforms.CenterCrop(2)
assert bert.AutoTokenizer.from_pretrained.__self__.__module__.startswith("transformers.")
torch = import_module("torch")
with torch.device("meta"):  # spares its random numbers
    assert isinstance(dists.vgg16(), torch.nn.Module)
import torchvision
assert isinstance(crop, torchvision.transforms.CenterCrop)
assert dists.VGG16_Weights.DEFAULT is torchvision.models.VGG16_Weights.DEFAULT
""")


def test_what_a_placeholder_cannot_be_is_imported_plainly():
    process = warm.Process(
        code="""
import sys
import ftrun_metrics.lean as lean
for name in [each for each in sys.modules if each.partition(".")[0] in ("torchmetrics", "lightning_utilities")]:
    del sys.modules[name]
lean.LATER["lightning_utilities"] = ("core",)  # torchmetrics uses it at once
lean._import()
from torchmetrics.classification import MulticlassAccuracy
assert not isinstance(sys.modules["lightning_utilities"], lean._Placeholder)
assert MulticlassAccuracy(3)
"""
    )
    _, errors = process.communicate()
    assert process.wait() == 0, errors
