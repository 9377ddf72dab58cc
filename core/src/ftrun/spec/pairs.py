"""Parts that do not go together: what the dataset gives has to be what backbone and augmentations take."""

from collections.abc import Iterator
from typing import Any

from ftrun.contracts.errors import Mistake
from ftrun.contracts.specs import Augmentation
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.runspec import RunSpec


def wrong_pairs(spec: RunSpec, catalogue: Catalogue) -> Iterator[Mistake]:
    """Yield what does not fit of a spec's dataset, backbone and augmentations, as far as they say it of themselves."""
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
        if isinstance(part, Augmentation) and kind and part.input_kinds is not None and kind not in part.input_kinds:
            kinds = " and ".join(f"{each}s" for each in part.input_kinds)
            yield Mistake(
                where,
                f"{part.name!r} changes {kinds}, but the inputs of this spec are {kind}s. "
                f"{_fitting('Augmentations', kind, 'augmentation', catalogue)}",
            )


def _fitting(title: str, kind: str, role: str, catalogue: Catalogue) -> str:
    names = [name for name, part in catalogue.parts(role).items() if kind in _kinds(part)]
    return f"{title} for {kind}s: {', '.join(names) or 'none is installed'}."


def _kinds(part: Any) -> tuple[str, ...]:
    """The kinds that a part says it is for, whichever its role."""
    if hasattr(part, "input_type"):
        return (part.input_type.raw_kind,)
    if hasattr(part, "input_kinds"):
        return part.input_kinds or ()
    return (part.input_kind,) if isinstance(part.input_kind, str) else ()
