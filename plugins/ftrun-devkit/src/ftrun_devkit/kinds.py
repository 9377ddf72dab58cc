"""What parts are tried on, by the kind of target that they work on: a target, outputs and values, and a spec."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ftrun import Classes, Dataset, Head, Labels, Loss, Part, Ragged, SpecError, Target, Values, tree_index, tree_map
from ftrun.devtools import Catalogue, as_found, part_names

if TYPE_CHECKING:
    from torch import Tensor

P = TypeVar("P", bound=Part)

CORE = ("classes", "labels", "values")


def made_example(kind: type[Part]) -> Target | None:
    """Return the small target that a kind brings as its extension "devkit.target"; None where it brings none."""
    path = kind.extensions.get("devkit.target") if issubclass(kind, Target) else None
    if path is None:
        return None
    module, _, name = path.partition(":")
    made: Target = getattr(import_module(module), name)()
    return made


def target_of(kind: str, catalogue: Catalogue | None = None) -> Target:
    """Return a small target of a kind. Another kind than the core's, of the catalogue, brings it as "devkit.target"."""
    names = ("first", "second", "third")
    core = {"classes": Classes(names=names), "labels": Labels(names=names), "values": Values(names=names[:2])}
    if kind in core:
        return core[kind]
    part = (catalogue or as_found()).parts("target").get(kind)
    made = made_example(part) if part is not None else None
    if made is None:
        raise AssertionError(
            f"a part works on targets of the kind {kind!r}, and there is none to try it on. Let that kind bring one: "
            'extensions = {"devkit.target": "module:function"}, a function without arguments.'
        )
    return made


def predictions(target: Target, count: int, seed: int = 0) -> tuple[Any, Any]:
    """Return decoded outputs and the target's values for them: `count` samples, or as many as another kind makes up."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    if target.kind not in CORE:
        made_up = target.made_up()
        if made_up is None:
            raise AssertionError(f"nothing makes up values of the kind {target.kind!r}: give it made_up().")
        return made_up
    width = len(target.names_in_use())
    outputs = torch.randn(count, width, generator=generator)
    if target.kind == "classes":
        return outputs, torch.arange(count) % width
    if target.kind == "labels":
        return outputs, (torch.rand(count, width, generator=generator) < 0.5).float()
    return outputs, torch.randn(count, width, generator=generator)


def samples(target: Target, values: Any) -> int:
    """Return of how many samples values are."""
    return len(target.present(values))


def some(tree: Any, start: int, end: int) -> Any:
    """Return the samples of a tree from `start` on, up to `end`."""
    import torch

    return tree_index(tree, torch.arange(start, end))


def tensors(tree: Any) -> "list[Tensor]":
    """Return the tensors of a tree; of a Ragged, its values."""
    found: list[Tensor] = []
    tree_map(lambda leaf: found.append(leaf.values if isinstance(leaf, Ragged) else leaf), tree)
    return found


def head_for(target: Target, parts: Iterable[type[Part]]) -> Head:
    """Return the head that targets of a kind have: their own, or one of these parts. Raises SpecError."""
    try:
        return target.default_head()
    except SpecError:
        for part in parts:
            if issubclass(part, Head) and target.kind in part.kinds:
                return _by_default(part)
        raise


def spec_for(kind: str, parts: Iterable[type[Part]]) -> Mapping[str, Any] | None:
    """Return the keys of a spec that learns targets of a kind by these parts; None where they do not suffice."""
    parts = list(parts)
    losses = [part for part in parts if issubclass(part, Loss) and kind in part.kinds]
    datasets = [part for part in parts if issubclass(part, Dataset) and not _lacking(part) and kind in _kinds(part)]
    heads = [part for part in parts if issubclass(part, Head) and kind in part.kinds]
    if not (losses and datasets):
        return None
    named = {"dataset": datasets[0], "loss": losses[0], **({"head": heads[0]} if heads else {})}
    return {key: part_names(part)[0] for key, part in named.items()}


def _lacking(part: type[Part]) -> bool:
    return any(field.is_required() for name, field in part.model_fields.items() if name != part.tag)


def _kinds(part: type[Dataset]) -> set[str]:
    return {target.kind for target in _by_default(part).build().targets.values()}


def _by_default(part: type[P]) -> P:
    """Return the part with its defaults."""
    return part.model_validate({part.tag: part_names(part)[0]})
