"""From a spec's JSON to a checked RunSpec, or to one message with all of its mistakes. Loads nothing heavy."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from ftrun.contracts.errors import Mistake, PluginError, SpecError, did_you_mean
from ftrun.contracts.part import Part
from ftrun.plugins.building import blame
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.messages import mistakes_of, place_of
from ftrun.spec.model import expand, run_spec_model
from ftrun.spec.nested import named_parts, part_context
from ftrun.spec.pairs import wrong_inputs, wrong_kinds, wrong_phase_inputs
from ftrun.spec.runspec import SLOTS, RunSpec
from ftrun.spec.specfile import json_or_text, parse_set, set_value, validated


class InvalidSpec(SpecError):
    """A spec with mistakes, all of them listed."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = mistakes
        if len(mistakes) == 1:
            super().__init__(f"{name}: {mistakes[0]}")
        else:
            lines = "\n".join(f"  {mistake}" for mistake in mistakes)
            super().__init__(f"{name} has {len(mistakes)} mistakes:\n{lines}")


def check_spec(
    data: dict[str, Any],
    catalogue: Catalogue,
    *,
    name: str = "spec",
    overrides: Sequence[str] = (),
    keys: Collection[str] | None = None,
) -> RunSpec:
    """Return the checked spec. Raises InvalidSpec, or PluginError where a part's plugin is broken or clashes.

    data: what the file holds; overrides: `--set` assignments, applied in order; name: how messages call the spec
    keys: those of the parts that are wanted, of a spec that was checked when its run began; others stay plain JSON
    """
    expanded = expand(deepcopy(data), catalogue)  # the caller's own stays as it is
    raw: dict[tuple[str, ...], str] = {}
    for assignment in overrides:
        path, text = parse_set(assignment)
        set_value(expanded, path, json_or_text(text), where=assignment)
        expanded = expand(expanded, catalogue)
        raw[tuple(path)] = text
    wanted = expanded if keys is None else {key: value for key, value in expanded.items() if key in keys}
    _check_plugins(wanted, catalogue)
    try:
        model = run_spec_model(catalogue, expanded, keys)
    except Exception:  # of a part whose options cannot be checked: its plugin is as good as not installed
        catalogue = catalogue.checked()
        model = run_spec_model(catalogue, expanded, keys)
    try:
        spec = validated(model, expanded, raw, lambda error: place_of(error, expanded), part_context(catalogue))
    except ValidationError as error:
        invalid = InvalidSpec(name, list(mistakes_of(error, expanded, model, catalogue)))
        raise _plugin_error(invalid, expanded, catalogue) or invalid from None
    spec = spec if keys is not None else _with_heads(spec)
    mistakes = [] if keys is not None else list(_cross_check(spec))
    if keys is None and not mistakes:
        mistakes += _disagreements(spec)
    if keys is None and spec.dataset.target_kinds is not None:
        mistakes += wrong_kinds(spec, spec.dataset.target_kinds)
    if keys is None or {"dataset", "backbone"} <= set(keys):
        mistakes += wrong_inputs(spec, catalogue)
    if keys is None:
        mistakes += wrong_phase_inputs(spec)
    if mistakes:
        raise InvalidSpec(name, mistakes)
    return spec


def _with_heads(spec: RunSpec) -> RunSpec:
    """Return the spec with the heads that its losses bring, where it names none for their targets."""
    if not isinstance(spec.loss, Mapping):
        brought = spec.loss.head if spec.loss else None
        return spec if spec.head or brought is None else spec.model_copy(update={"head": brought})
    heads = {target: loss.head for target, loss in spec.loss.items() if loss.head}
    if not heads or isinstance(spec.head, Part):
        return spec
    return spec.model_copy(update={"head": {**heads, **(spec.head or {})}})


def _check_plugins(data: dict[str, Any], catalogue: Catalogue) -> None:
    for role, where, part in named_parts(data, catalogue):
        try:
            catalogue.check_clash(role.role, part)
        except PluginError as error:
            error.where = where
            raise


def _plugin_error(invalid: InvalidSpec, data: dict[str, Any], catalogue: Catalogue) -> PluginError | None:
    """Return the same mistakes as a fault of what is installed: a role without parts, a part of a plugin not loaded."""
    required = [slot for slot in SLOTS if RunSpec.model_fields[slot.key].is_required()]
    needed = [slot for slot in SLOTS if data.get(slot.key) or slot in required]
    named = [(role.role, name) for role, _, name in named_parts(data, catalogue)]
    unknown = [(role, name) for role, name in named if catalogue.part(role, name) is None]
    # A name that resembles an installed one is a slip of the pen; another may be that of a broken plugin's part.
    strange = [name for role, name in unknown if not did_you_mean(name, catalogue.parts(role))]
    if (
        any(not catalogue.parts(slot.role.role) for slot in needed)
        or (strange and catalogue.broken)
        # What is left out on purpose may well offer what resembles the rest, or what a role has by default.
        or (catalogue.left_out and (unknown or any(slot.key not in data for slot in required)))
    ):
        return PluginError(f"{invalid}{catalogue.not_here}")
    return None


def _cross_check(spec: RunSpec) -> Iterator[Mistake]:
    """Yield what no single field can tell."""
    monitors = spec.monitors
    to_come = spec.recipe is not None and "metrics" not in spec.model_fields_set  # whoever knows them checks it
    given = () if to_come else spec.train.monitor or ()
    for name in (given,) if isinstance(given, str) else given:
        # With several targets, theirs is between the two; and a metric may give several figures, val/<metric>/<one>.
        split, *steps = name.split("/")
        if split != "val" or not any(f"val/{step}" in monitors for step in steps):
            near = did_you_mean(name, monitors)
            yield Mistake(
                "train.monitor",
                f"no figure named {name!r}.{near} With this spec's metrics it may be: {', '.join(monitors)}.",
            )
    if spec.train.minutes is not None and spec.recipe is None:
        yield Mistake("train.minutes", 'needs a recipe, which plans the time: name one, such as "recipe": "full".')
    if spec.objective and spec.loss and not spec.objective.uses_losses:
        yield Mistake("loss", f"the objective {spec.objective.name!r} takes no loss of a target: leave loss out.")
    for (where, part), (_, after) in pairwise(spec.augmentations()):
        if part.reach == "batch" and after.reach == "sample":
            yield Mistake(
                where,
                f"{part.name!r} mixes whole batches, and {after.name!r} after it draws for each sample: put those that "
                "mix batches last.",
            )
    counts = Counter(metric.key for metric in spec.metrics)
    for index, metric in enumerate(spec.metrics):
        if counts[metric.key] > 1 and metric.key in [earlier.key for earlier in spec.metrics[:index]]:
            yield Mistake(f"metrics.{index}", f"{metric.key!r} is there twice.")


def _disagreements(spec: RunSpec) -> Iterator[Mistake]:
    """Yield what parts say does not fit of them and others."""
    for where, part in spec.every_part():
        try:
            for message in part.agrees(spec):
                yield Mistake(where, message)
        except SpecError as error:
            yield Mistake(error.where or where, error.message)
        except Exception as error:
            blame(error, part, where)
            raise
