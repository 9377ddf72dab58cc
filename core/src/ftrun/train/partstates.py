"""What parts need in addition to their options to be built again: from a checkpoint, and for the next one."""

import hashlib
import json
from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch import Tensor

from ftrun.contracts.part import Part, PartState, Stateful
from ftrun.data import fingerprint
from ftrun.plugins.building import build, inside, misbuilt, shown
from ftrun.runs import checkpoint
from ftrun.runs.packing import pack


class PartStates:
    """The states of the parts that it builds.

    saved: those that a checkpoint has, by the part's place in the spec
    input: what its net.json has of how inputs are prepared; None for a new run, whose parts have no state yet
    """

    def __init__(
        self,
        saved: Mapping[str, PartState] | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002  (the contract's word)
    ) -> None:
        self.input = input
        self._saved = saved or {}
        self._built: dict[str, tuple[Stateful, Any]] = {}

    def build(self, part: Part, where: str, *arguments: Any, key: str | None = None, **offered: Any) -> Any:
        """Return what a part's `build` makes of `arguments`, and of its state where there is one saved.

        key: what its state is called, where one part of the spec is built several times; its place if not given
        offered: what it gets besides if it names it
        """
        state = self._saved.get(key or where)
        if state is not None and "state" not in signature(part.build).parameters:  # type: ignore[attr-defined]
            raise misbuilt(part, f"the run has saved a state of it at {key or where}, and its build() takes none.")
        made = build(part, where, *arguments, state=state, **offered)
        if isinstance(part, Stateful):
            self._built[key or where] = part, made
        return made

    def now(self) -> dict[str, PartState]:
        """Return the state of each part that has one, by its place in the spec. Raises PluginError for what is none."""
        states: dict[str, PartState] = {}
        for where, (part, made) in self._built.items():
            with inside(part, where):
                state = part.state(made)
                if state is None:
                    continue
                if not isinstance(state, PartState):
                    raise misbuilt(part, f"state() gives {shown(state)}, but an ftrun.PartState is needed, or None.")
                if fault := _fault_of(state, [name for each in states.values() for name in each.files]):
                    raise misbuilt(part, f"state(): {fault}")
                states[where] = state
        return states

    def digest(self) -> str:
        """Return what tells the states of backbone and modifiers from any others."""
        digest, tensors = hashlib.sha256(), dict[str, Tensor]()
        for where, state in self.now().items():
            if where.partition(".")[0] not in ("backbone", "modifiers"):
                continue
            values = json.dumps(pack(dict(state.values), where, tensors), sort_keys=True)
            digest.update(f"{where} {values}\n".encode())
            for name, content in sorted(state.files.items()):
                digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        for name, tensor in tensors.items():
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode() + fingerprint.bytes_of(tensor))
        return digest.hexdigest()


def _fault_of(state: PartState, taken: list[str]) -> str:
    """Return what keeps a state from being saved, or nothing. taken: names of other parts' files"""
    files: Mapping[Any, Any] = state.files  # of a plugin's making
    for name, content in files.items():
        if not isinstance(name, str) or not checkpoint.may_be_kept(name) or name in taken:
            return (
                f"{name!r} cannot be the name of a file in a checkpoint. Each file of a part has a name of its own, "
                f"which has no folder, does not begin with a dot, and is none of {', '.join(checkpoint.OURS)}."
            )
        if not isinstance(content, bytes):
            return f"the file {name} is {shown(content)}, but bytes are needed."
    return ""
