"""What is left out of a spec, from what is known before a net is built."""

from collections.abc import Mapping
from typing import Any

import ftrun
from ftrun_recipes import knowledge
from ftrun_recipes.knowledge import COURSES, Course

_HEAD_FIRST = "a new head first, so that what is pretrained meets one that fits"


def ranges_of(facts: ftrun.Facts) -> ftrun.TrainingRanges:
    """Return the backbone's ranges, or those of its kind of input."""
    return facts.ranges or knowledge.BY_INPUT.get(facts.input_kind, knowledge.ANY_INPUT)


def filled(name: str, facts: ftrun.Facts) -> ftrun.Filled:
    """Return all that the recipe `name` fills in."""
    ranges, course = ranges_of(facts), COURSES[name]
    size, reason = _size(facts, ranges)
    spec: dict[str, Any] = {"loss": losses(facts, ranges), "metrics": metrics(facts)}
    spec["scheduler"] = {"name": "cosine", "warmup": course.warmup if ranges.pretrained else ranges.warmup}
    spec["augment"] = _augmentations(facts, course, ranges, size)
    batch_size = _batch_size(facts, ranges)
    spec["optimizer"], length = _length(name, facts, ranges, -(-facts.samples["train"] // batch_size))
    spec["train"] = {"batch_size": batch_size, **length}
    if size is not None:
        spec["input"] = {"size": size}
    if facts.input_kind == "text":
        spec["train"]["clip"] = knowledge.TRAINS_TEXTS_CLIP
    if spec["loss"] is None:
        del spec["loss"]
    why = {
        "loss": "what each kind of target has",
        "optimizer": f"rates of {ranges.family}",
        "input.size": reason,
        "train.batch_size": f"{facts.samples['train']:,} training samples",
        "train.phases": _HEAD_FIRST if len(length.get("phases", ())) > 1 else "",
    }
    return ftrun.Filled(spec, {key: reason for key, reason in why.items() if reason})


def losses(facts: ftrun.Facts, ranges: ftrun.TrainingRanges) -> Any:
    """Return one loss, or {target: loss} where they differ; None where an objective takes none.

    Raises SpecError for a kind of target with several losses, or none.
    """
    objective = facts.spec.get("objective")
    part: Any = facts.parts["objective"].get(objective["name"]) if objective else None
    if not facts.targets or (part is not None and not part.uses_losses):
        return None
    by_target = {name: _loss(name, target.kind, facts, ranges) for name, target in facts.targets.items()}
    first = next(iter(by_target.values()))
    return first if all(each == first for each in by_target.values()) else by_target


def _loss(target: str, kind: str, facts: ftrun.Facts, ranges: ftrun.TrainingRanges) -> dict[str, Any]:
    installed: Mapping[str, Any] = facts.parts["loss"]
    name = knowledge.LOSSES.get(kind)
    if name is None or name not in installed:
        fitting = [each for each, part in installed.items() if kind in part.kinds]
        if len(fitting) != 1 and not facts.states("loss"):
            which = f"several: {', '.join(fitting)}" if fitting else "none that is installed"
            raise ftrun.SpecError(
                f"for the target {target!r}, of the kind {kind!r}, there is {which}. Name one.", "loss"
            )
        name = fitting[0] if fitting else ""
    smoothed = {"label_smoothing": knowledge.SMOOTHING} if name == "cross-entropy" and not ranges.pretrained else {}
    return {"name": name, **smoothed}


def metrics(facts: ftrun.Facts) -> list[str]:
    """Return the metrics of all kinds of target, in their order, of those that are installed and need no options."""
    kinds = dict.fromkeys(target.kind for target in facts.targets.values())
    names = [name for kind in kinds for name in knowledge.METRICS.get(kind, ())]
    return [name for name in dict.fromkeys(names) if name in facts.parts["metric"]]


def _optimizer(ranges: ftrun.TrainingRanges, lr: float) -> dict[str, Any]:
    options: dict[str, Any] = {"lr": lr, "weight_decay": ranges.weight_decay}
    if ranges.optimizer == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    return {"name": ranges.optimizer, **options}


def _length(
    name: str, facts: ftrun.Facts, ranges: ftrun.TrainingRanges, steps_per_epoch: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the optimizer, and the epochs or phases, of as many epochs as the user states."""
    course = COURSES[name]
    stated = facts.spec.get("train", {}).get("epochs")
    if facts.states("optimizer"):  # whose rate is for whatever learns: nothing is known of rates beside it
        return _optimizer(ranges, ranges.lr), {} if stated else {"epochs": course.head + course.rest}
    if not ranges.pretrained:
        return _optimizer(ranges, ranges.lr), {} if stated else {"epochs": knowledge.SCRATCH_EPOCHS[name]}
    head, rest = course.head, course.rest
    if stated:
        head = min(stated, max(1, round(stated * head / (head + rest))))
        rest = stated - head
    if course.rest and at_once(head + rest, steps_per_epoch, ranges):
        head, rest = 0, head + rest
    optimizer, phases = trained(head, rest, ranges)
    return optimizer, {"phases": phases}


def at_once(epochs: float, steps_per_epoch: int, ranges: ftrun.TrainingRanges) -> bool:
    """Return whether so many epochs of everything need no phase of the head before them."""
    return not ranges.head_first and epochs * steps_per_epoch >= knowledge.ENOUGH_STEPS


def trained(head: float, rest: float, ranges: ftrun.TrainingRanges) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the optimizer, and the phases: of the head alone, and of everything, of those that have epochs."""
    alone = {"epochs": head, "freeze": "features", "views": 1}
    everything: dict[str, Any] = {"epochs": rest, "norm": ranges.norm}
    if ranges.layer_decay != 1:
        everything["layer_decay"] = ranges.layer_decay
    if not head:
        return _optimizer(ranges, ranges.lr), [everything]
    rate = ranges.lr if ranges.head_first else knowledge.AFTER_HEAD * ranges.lr
    everything["lr_scale"] = round(rate / ranges.head_lr, 6)
    return _optimizer(ranges, ranges.head_lr), [alone, everything] if rest else [alone]


def _batch_size(facts: ftrun.Facts, ranges: ftrun.TrainingRanges) -> int:
    limits = (most for samples, most in knowledge.FEW_SAMPLES if facts.samples["train"] < samples)
    return min(ranges.batch_size, next(limits, ranges.batch_size))


def _augmentations(
    facts: ftrun.Facts, course: Course, ranges: ftrun.TrainingRanges, size: int | None
) -> list[dict[str, Any]]:
    if facts.input_kind != "image" or not (course.augments or not ranges.pretrained):
        return []
    stated = facts.spec.get("input", {}).get("size")
    side = size or (min(stated) if isinstance(stated, list) else stated) or ranges.size or min(facts.raw_size or (224,))
    wanted = [
        {"name": "horizontal-flip"},
        {"name": "random-crop", "padding": max(1, round(side * knowledge.CROP_PADDING))},
    ]
    return [each for each in wanted if each["name"] in facts.parts["augmentation"]]


def _size(facts: ftrun.Facts, ranges: ftrun.TrainingRanges) -> tuple[int | None, str]:
    """Return the side of images, where the time is limited and nobody states it: no larger than pays, and why."""
    if facts.minutes is None or facts.input_kind != "image" or facts.raw_size is None or facts.states("input.size"):
        return None, ""
    raw = min(facts.raw_size)
    enlarged = knowledge.ENLARGED if ranges.pretrained else knowledge.SCRATCH_ENLARGED
    most = min(raw * enlarged, ranges.size or raw * enlarged)
    rate = knowledge.PIXELS_PER_SECOND.get(facts.device, knowledge.PIXELS_PER_SECOND["cuda"])
    affordable = (60 * facts.minutes * rate / (knowledge.PASSES * facts.samples["train"])) ** 0.5
    least = knowledge.SMALLEST if ranges.pretrained else min(raw, knowledge.SMALLEST)
    fitting = [size for size in knowledge.SIZES if size <= max(least, min(most, affordable))]
    size = max(fitting, default=knowledge.SIZES[0])
    return size, f"images of {facts.raw_size[1]} x {facts.raw_size[0]} pixels, and {facts.minutes:g} minutes"
