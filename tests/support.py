"""What the whole-product tests share: plugins installed as real distributions, specs, and processes."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import warm

from ftrun.train.signals import Signals

TINY = (Path(__file__).parent / "distributions" / "ftrun_tiny.py").read_text()


def install(site: Path, distribution: str, code: str, version: str = "1.0", module: str | None = None) -> None:
    """Put a distribution with one module and one entry point into a folder, as pip would."""
    module = module or distribution.replace("-", "_")
    (site / f"{module}.py").write_text(code)
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[ftrun]\n{distribution} = {module}\n")


def ftrun_process(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as its own process."""
    process = warm.Process(*arguments, **environment)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.arguments, process.wait(), out, err)


def tiny_spec(**changes: Any) -> dict[str, Any]:
    """A spec of the tiny plugin's parts that runs in a blink; None takes a key out."""
    spec = {
        "dataset": "tiny",
        "backbone": "tiny",
        "loss": "tiny-loss",
        "optimizer": "tiny-sgd",
        "train": {"epochs": 2, "batch_size": 16},
        **changes,
    }
    return {key: value for key, value in spec.items() if value is not None}


def write_spec(spec: Any, name: str = "spec.json") -> Path:
    """Write a spec into the working folder."""
    path = Path(name)
    path.write_text(spec if isinstance(spec, str) else json.dumps(spec))
    return path


class Asking(Signals):
    """Asks for a checkpoint all the time; `answered` is called each time that the saver takes the wish back."""

    def __init__(self, answered: Callable[[], None]) -> None:
        self.answered = answered
        super().__init__()

    @property
    def save_asked(self) -> bool:
        return True

    @save_asked.setter
    def save_asked(self, asked: bool) -> None:
        self.answered()


class StopAt(Signals):
    """Ctrl-C in the step of that number, of those that this process does."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.left = step

    @property
    def waiting(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self._received = signal.SIGINT
        return super().waiting


class EveryStep(Asking):
    """Asks for a checkpoint after each step, and keeps a copy of the run folder after each one."""

    def __init__(self, folder: Path, copies: Path) -> None:
        def keep() -> None:
            if folder.exists():
                shutil.copytree(folder, copies / str(len(list(copies.iterdir()))))

        super().__init__(keep)


def dark_and_light_images(root: Path, height: int, width: int) -> None:
    """Two classes of images of several heights, 20 each to train on and 4 each to test on."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for number, name in enumerate(("dark", "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 120, (height + index % 3, width, 3)) + 120 * number
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
