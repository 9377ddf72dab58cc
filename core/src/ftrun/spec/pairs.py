"""Parts of a spec that do not go together, as far as they say of themselves what they are for: nothing is built."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ftrun.contracts.errors import Mistake, did_you_mean
from ftrun.contracts.specs import Augmentation, Head, Loss, Metric, Modifier
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.messages import option_message
from ftrun.spec.runspec import RunSpec


def wrong_inputs(spec: RunSpec, catalogue: Catalogue) -> Iterator[Mistake]:
    """Yield what does not fit of the kinds of input of a spec's parts, as far as they say them of themselves."""
    given, taken = spec.dataset.input_kind, spec.backbone.input_type.raw_kind
    if given and taken and given != taken:
        yield Mistake(
            "backbone",
            f"{spec.backbone.name!r} takes {taken}s, but the dataset {spec.dataset.name!r} gives {given}s. "
            f"{_fitting('Backbones', given, 'backbone', catalogue)} "
            f"{_fitting('Datasets', taken, 'dataset', catalogue)}",
        )
    kind = given or taken
    for where, part in spec.parts():
        if isinstance(part, Augmentation | Modifier) and kind and kind not in (part.input_kinds or (kind,)):
            kinds = " and ".join(f"{each}s" for each in part.input_kinds or ())
            yield Mistake(
                where,
                f"{part.name!r} is for {kinds}, but the inputs of this spec are {kind}s. "
                f"{_fitting(f'{part.role.capitalize()}s', kind, part.role, catalogue)}",
            )


def wrong_phase_inputs(spec: RunSpec) -> Iterator[Mistake]:
    """Yield what is no option of the net's input in the phases that override it."""
    overrides = spec.backbone.input_type.overrides()
    for number, phase in enumerate(spec.train.phases or ()):
        try:
            overrides.model_validate_json(json.dumps(phase.input or {}))
        except ValidationError as error:
            for each in error.errors():
                place = ".".join(map(str, each["loc"]))
                message = option_message(each, "input", list(overrides.model_fields))
                yield Mistake(f"train.phases.{number}.input.{place}", message)


def wrong_kinds(spec: RunSpec, kinds: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield what of a spec's losses and metrics does not work on the dataset's targets. kinds: {target: its kind}."""
    by_name = {"loss": spec.loss, "head": spec.head, "train.loss_weights": spec.train.loss_weights}
    for where, value in by_name.items():
        for name in [name for name in value if name not in kinds] if isinstance(value, Mapping) else []:
            keys = () if where == "train.loss_weights" else ("name",)  # a part's: it is an object too
            near = did_you_mean(name, [*kinds, *keys])
            yield Mistake(
                f"{where}.{name}", f"the dataset has no target {name!r}.{near} It has {', '.join(map(repr, kinds))}."
            )
    for name, kind in kinds.items() if spec.loss is not None else ():
        if isinstance(spec.loss, Mapping) and name not in spec.loss:
            yield Mistake("loss", f"has none for the dataset's target {name!r}. Add one.")
        elif kind not in (loss := spec.loss_of(name)).kinds:
            hint = "" if len(kinds) == 1 or loss is not spec.loss else _HINT
            yield Mistake("loss", mismatch(loss, name, kind) + hint)
    for index, metric in enumerate(spec.metrics):
        if not any(kind in metric.kinds for kind in kinds.values()):
            name, kind = next(iter(kinds.items()))
            yield Mistake(f"metrics.{index}", mismatch(metric, name, kind))


_HINT = ' Give each target its own: {"target": "loss", ...}.'


def mismatch(part: Head | Loss | Metric, target: str, kind: str) -> str:
    """Return the message for a part that does not work on a target."""
    return f"{part.name!r} works on {' and '.join(part.kinds)}, but the dataset's target {target!r} has {kind}."


def _fitting(title: str, kind: str, role: str, catalogue: Catalogue) -> str:
    names = [name for name, part in catalogue.parts(role).items() if _fits(part, kind)]
    return f"{title} for {kind}s: {', '.join(names) or 'none is installed'}."


def _fits(part: Any, kind: str) -> bool:
    """Return whether a part says that it is for inputs of a kind, or for any, whichever its role."""
    if hasattr(part, "input_type"):
        return bool(part.input_type.raw_kind == kind)
    return kind in (part.input_kinds or (kind,)) if hasattr(part, "input_kinds") else bool(part.input_kind == kind)
