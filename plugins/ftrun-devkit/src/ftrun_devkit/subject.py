"""What is under test: one part with the options that it is tried with, and what its checks build it on."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from ftrun import Backbone, Command, Head, InputSpec, Modifier, Part, Target
from ftrun.devtools import SLOTS, Catalogue, Plugin, RunSpec, part_context, part_names
from ftrun_devkit.examples import example_splits, examples_plugin, input_of, made_once
from ftrun_devkit.kinds import CORE, head_for, made_example, spec_for, target_of
from ftrun_devkit.outputs import close as close
from ftrun_devkit.outputs import digest as digest
from ftrun_devkit.outputs import ready_inputs as ready_inputs
from ftrun_devkit.outputs import width as width
from ftrun_devkit.run import TinyRun, catalogue_with, interrupted_run, tiny_plugin, tiny_run
from ftrun_inputs import ImageInput, TextInput

if TYPE_CHECKING:
    from ftrun import Net, Split

Options: TypeAlias = Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]
"""Options of a part, or a function that makes them, given a folder to put data in."""


class ContractError(AssertionError):
    """A part does not keep the contract: the part, the property, what is wrong, and how to mend it."""


class Fault(Exception):
    """What a property found, and how to mend it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.found, self.mend = found, mend


def fail(found: str, mend: str) -> NoReturn:
    """The property does not hold."""
    raise Fault(found, mend)


def expect(holds: bool, found: str, mend: str) -> None:
    """The property does not hold unless this does."""
    if not holds:
        fail(found, mend)


@dataclass(frozen=True)
class CommandSubject:
    """One command under test."""

    plugin: Plugin
    command: Command
    role: ClassVar[str] = "command"

    @property
    def name(self) -> str:
        """As it is typed after `ftrun`."""
        return self.command.name


_LAST: dict[str, Any] = {}
"""The subject whose net was looked at last, and that net: a suite asks its properties one after another, and a net of
each of its parts would fill the memory."""


@dataclass(frozen=True)
class Subject:
    """One part under test.

    options: what a spec would say of it; input: what a spec's `input` would say, for backbones
    backbone: the part that modifiers, heads and exporters are tried on, as in a spec
    installed: the plugins that its runs and companions come from
    dataset: the part that backbones and modifiers learn from, as in a spec; made-up inputs if not given
    input_type: the class of the inputs that a dataset or an augmentation is for, if no installed backbone tells
    """

    plugin: Plugin
    part: type[Part]
    name: str
    options: Options = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    backbone: Any = "tiny-net"
    installed: Sequence[Plugin] = ()
    dataset: Any = None
    input_type: type[InputSpec] | None = None

    @property
    def role(self) -> str:
        """The part's role."""
        return self.part.role

    @property
    def lacks(self) -> list[str]:
        """Options without default that the test does not give."""
        if callable(self.options) or made_example(self.part):
            return []
        fields = self.part.model_fields.items()
        return [name for name, field in fields if field.is_required() and name not in (self.part.tag, *self.options)]

    def in_spec(self, place: Path) -> dict[str, Any]:
        """The part as an object of a spec."""
        options = self.options(place) if callable(self.options) else self.options
        if not options and (example := made_example(self.part)):
            return example.model_dump(mode="json")
        return {self.part.tag: self.name, **options}

    @property
    def kind(self) -> str:
        """The first kind of target that the part works on; classes, if it works on them, or does not say."""
        kinds = getattr(self.part, "kinds", ())
        return "classes" if "classes" in kinds or not kinds else str(kinds[0])

    def make(self, place: Path, **changes: Any) -> Any:
        """The part, checked as a spec checks it."""
        return self.part.model_validate_json(json.dumps({**self.in_spec(place), **changes}), context=self.context)

    @property
    def context(self) -> dict[str, Any]:
        """Pydantic's context, in which options that are parts are made."""
        return part_context(self.catalogue)

    # What the roles' parts are built on

    def host(self) -> "Net":
        """A net with a fresh head for three classes, for a modifier to change."""
        return self._fitted(self.host_part())

    def host_part(self) -> Backbone:
        """The backbone of `host`."""
        return self.checked({"backbone": self._beneath}).backbone

    @property
    def _beneath(self) -> Any:
        """The backbone that other parts are tried on, as in a spec: a tiny one has what heads may take."""
        takes_map = getattr(self.part, "takes", "embedding") == "pyramid" or self.kind not in CORE
        return {"name": "tiny-net", "levels": 3} if self.backbone == "tiny-net" and takes_map else self.backbone

    def net(self, place: Path, seed: int = 0, *, target: Target | None = None, **options: Any) -> "Net":
        """The backbone's net with a fresh head for three classes, or the changed host; random weights are of `seed`.

        target: another one, for a head
        """
        import torch

        torch.manual_seed(seed)
        if self.part.role == "backbone":
            return self._fitted(self.make(place, **options))
        part = self.make(place, **options)
        if self.part.role == "head":
            return self.headed(part, self.host(), target or target_of(self.kind))
        changed: Net = part.build(self.host())
        self._fit(part, changed)
        return changed

    def outputs(self, target: Target, count: int) -> Any:
        """What a net's head gives for so many samples with a target, without gradients."""
        import torch

        torch.manual_seed(0)
        net = self.headed(head_for(target, self.plugin.parts), self.host(), target).eval()
        with torch.no_grad():
            return net(ready_inputs(net, count))["label"]

    @staticmethod
    def headed(head: Any, net: "Net", target: Target) -> "Net":
        """The net with this head for one target, `label`."""
        if head.takes == "embedding":
            net.set_targets({"label": target}, {"label": head.build(net, target)})
        else:
            net.set_targets({"label": target}, {}, {"label": head.takes})
            net.add_head("label", head.build(net, target))
        return net

    def seen(self, place: Path) -> "Net":
        """Return `net(place)` in evaluation mode, made once: for properties that look at it and change nothing."""
        if _LAST.get("subject") is not self:
            _LAST.update(subject=self, net=self.net(place).eval())
        net: Net = _LAST["net"]
        return net

    def _fitted(self, backbone: Backbone) -> "Net":
        net = backbone.build(self.input)
        self._fit(backbone, net)
        net.set_targets({"label": target_of("classes")})
        return net

    def splits(self, place: Path) -> "list[tuple[str, Split]]":
        """The dataset's splits, by name."""
        built: list[tuple[str, Split]] = self.make(place).build().items()
        return built

    # Whole runs

    def run(self, place: Path, **changes: Any) -> TinyRun:
        """A tiny run with the part in its place."""
        (place / "whole").mkdir()
        return tiny_run(place / "whole", plugins=self._plugins, **{**self.spec(place), **changes})

    def interrupted(self, place: Path, **changes: Any) -> TinyRun:
        """The same, broken off in its second epoch and resumed."""
        (place / "broken").mkdir()
        steps = 6 if self.part.role != "dataset" else 2
        spec = {**self.spec(place), **changes}
        return interrupted_run(place / "broken", stop_at=steps, plugins=self._plugins, **spec)

    def spec(self, place: Path) -> dict[str, Any]:
        """What a spec says of the part, and of what it needs beside it."""
        slot = next(slot for slot in SLOTS if slot.role.role == self.part.role)  # exporters and hubs have none
        own = self.in_spec(place)
        spec: dict[str, Any] = {slot.key: [own] if slot.many else own}
        if self.part.role in ("modifier", "head"):
            spec["backbone"] = self._beneath
        if self.part.role in ("backbone", "modifier", "head") and self.input:
            spec["input"] = dict(self.input)
        if self.kind not in CORE:
            spec = {"backbone": self._beneath, **(spec_for(self.kind, self.plugin.parts) or {}), **spec}
        return {**self._data, **({} if getattr(self.part, "uses_losses", True) else {"loss": None}), **spec}

    @property
    def is_learnable(self) -> bool:
        """Whether there are parts for a tiny run with what this one works on."""
        return self.kind == "classes" or spec_for(self.kind, self.plugin.parts) is not None

    @property
    def _data(self) -> dict[str, Any]:
        """The dataset that gives what the net takes, where it is not a tiny spec's own."""
        if self.dataset is not None:
            return {"dataset": made_once(self.dataset) if callable(self.dataset) else self.dataset}
        if issubclass(self._input_type, ImageInput):
            return {}
        return {"dataset": "tiny-texts" if issubclass(self._input_type, TextInput) else "tiny-examples"}

    def _fit(self, part: Any, net: "Net") -> None:
        """Let a backbone or modifier look at training samples, as in a new run."""
        data = self._data.get("dataset", "tiny-images")
        if data == "tiny-examples":
            part.fit(net, example_splits(net.input).training)
            return
        options = data if isinstance(data, Mapping) else {"name": data}
        dataset: Any = self.catalogue.parts("dataset")[options["name"]].model_validate_json(json.dumps(options))
        part.fit(net, dataset.build().training)

    def raw_input(self) -> InputSpec | None:
        """Return an input that takes what a dataset gives or an augmentation changes; None where none is known."""
        kinds = getattr(self.part, "input_kinds", None) or (getattr(self.part, "input_kind", None),)
        backbones = self.catalogue.parts("backbone").values()
        of_kind = (input_of(kind, self.input_type, dict(self.input), backbones) for kind in kinds)  # type: ignore[arg-type]
        return next((each for each in of_kind if each is not None), None)

    def _example_input(self) -> InputSpec:
        """Return the input of the net under test, or of the one beneath a modifier."""
        with TemporaryDirectory() as place:
            part = self.make(Path(place)) if self.part.role == "backbone" else self.host_part()
            made: InputSpec = part.build(self.input).input
        return made

    @property
    def _input_type(self) -> type[InputSpec]:
        """What the net takes: that of the backbone under test, or of the one beneath a modifier."""
        if issubclass(self.part, Backbone):
            return self.part.input_type
        if not issubclass(self.part, Modifier | Head):
            return ImageInput
        given = self.backbone["name"] if isinstance(self.backbone, Mapping) else self.backbone.partition("/")[0]
        others = [each for each in self.installed if each.module != self.plugin.module]
        part = catalogue_with([self.plugin, *others]).parts("backbone").get(given)
        return part.input_type if part is not None and issubclass(part, Backbone) else ImageInput

    def checked(self, changes: Mapping[str, Any]) -> "RunSpec":
        """A tiny spec with these changes."""
        from ftrun.devtools import check_spec
        from ftrun_devkit.run import tiny_spec

        return check_spec(tiny_spec(**{**self._data, **changes}), self.catalogue)

    @property
    def catalogue(self) -> Catalogue:
        """The plugin under test, what is installed, and the tiny parts."""
        return catalogue_with(self._plugins)

    @property
    def _plugins(self) -> list[Plugin]:
        """The plugin under test, and of the others what it does not clash with: that is no fault of either's parts."""
        mine: set[tuple[str, str]] = set().union(*map(_keys, (*self.plugin.parts, *tiny_plugin().parts)))
        others = [
            replace(each, parts=tuple(part for part in each.parts if mine.isdisjoint(_keys(part))))
            for each in self.installed
            if each.module != self.plugin.module
        ]
        if issubclass(self._input_type, ImageInput | TextInput):
            return [self.plugin, *others]
        return [self.plugin, *others, examples_plugin(self._input_type.raw_kind, self._example_input)]


def _keys(part: type[Part]) -> set[tuple[str, str]]:
    return {(part.role, name) for name in part_names(part)}
