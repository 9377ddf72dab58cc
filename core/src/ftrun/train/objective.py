"""The module that training makes small: built from the spec, put into evaluation mode, kept in checkpoints."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, Terms
from ftrun.contracts.randomness import seed_of
from ftrun.contracts.stages import evaluation_mode
from ftrun.plugins.building import Blaming, inside, misbuilt, shown
from ftrun.runs import checkpoint
from ftrun.spec.runspec import RunSpec
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.checks import fault_of_loss
from ftrun.train.partstates import PartStates


def build_objective(
    spec: RunSpec, net: Net, losses: ObjectiveModule | None, device: torch.device, states: PartStates
) -> ObjectiveModule:
    """Return what the spec makes small, on `device`; `losses` where it names no objective.

    losses: the sum of the targets' losses; None where the spec has none
    states: build the part

    Raises PluginError where the part builds something else, or keeps the net in it.
    """
    part, where = spec.objective, "objective"
    if part is None:
        assert losses is not None  # the spec was checked
        return losses
    torch.manual_seed(seed_of(spec.seed, "objective"))
    made: ObjectiveModule = states.build(part, where, net, losses)
    own = {id(each) for each in net.parameters()}
    with inside(part, where):
        for name, parameter in made.named_parameters():
            if id(parameter) in own:
                raise misbuilt(part, f"its {name!r} is the net's own. Take the net that forward() is called with.")

    if losses is not None and losses in made.modules():  # what they need, it needs too
        made.whole_batch = made.whole_batch or losses.whole_batch
        made.takes_embeddings = made.takes_embeddings and losses.takes_embeddings
    for method, check in (("forward", _fault_of_terms), ("after_step", None)):
        object.__setattr__(made, method, Blaming(getattr(made, method), part, where, check))
    return made.to(device)


def _fault_of_terms(*arguments: Any) -> str:
    """Return what is wrong with what an objective's forward() gives, its last argument, or nothing."""
    terms = arguments[-1]
    if not isinstance(terms, Terms):
        return f"its forward() gives {shown(terms)}, but ftrun.Terms(loss, outputs, parts) is needed."
    if fault := fault_of_loss(terms.loss):
        return fault.replace("its forward() gives", "the loss of its ftrun.Terms is")
    for name, value in terms.parts.items():
        if not isinstance(value, Tensor) or value.ndim or name == "loss":
            return f"its part {name!r} is {shown(value)}, but each is a scalar tensor with a name other than 'loss'."
    return ""


def learning(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that learn; frozen ones and a teacher's do not."""
    return [each for each in module.parameters() if each.requires_grad]


@contextmanager
def evaluating(objective: nn.Module) -> Iterator[None]:
    """Put an objective into evaluation mode; afterwards it is as before, whatever was written to its buffers.

    So what is evaluated teaches nothing, also where a module does not look at its mode.
    """
    buffers = KeptBuffers(objective)
    try:
        with evaluation_mode(objective):
            yield
    finally:
        buffers.restore()


def state_of(objective: nn.Module) -> dict[str, Any]:
    """Return parameters, buffers and extra state by name: what a checkpoint keeps of an objective."""
    left_out = _left_out(objective)
    return {name: value for name, value in objective.state_dict().items() if not name.startswith(left_out)}


def load_state(objective: nn.Module, state: Mapping[str, Any], device: torch.device) -> None:
    """Put in what `state_of` gave; a buffer that is made only when it is used is made on `device`.

    Raises RuntimeError where it is the state of another objective.
    """
    for name, value in state.items():
        _make_buffer(objective, name, value, device)
    left_out = _left_out(objective)
    own = {name: value for name, value in objective.state_dict().items() if name.startswith(left_out)}
    objective.load_state_dict({**own, **state})


def restore_objective(folder: Path, objective: ObjectiveModule, device: torch.device) -> None:
    """Put a checkpoint's state into an objective. Raises Damaged."""
    checkpoint.load_objective(folder, lambda state: load_state(objective, state, device))


def _left_out(objective: nn.Module) -> tuple[str, ...]:
    """Return how the names begin of what no checkpoint has."""
    return tuple(f"{name}." for name in getattr(objective, "unsaved", ()))


def _make_buffer(objective: nn.Module, name: str, value: Any, device: torch.device) -> None:
    """See that a buffer is of the shape and dtype of `value`."""
    path, _, leaf = name.rpartition(".")
    known = dict(objective.named_modules())
    if not isinstance(value, Tensor) or path not in known or leaf in known[path]._parameters:
        return  # load_state_dict says what is wrong with it, if anything
    module, buffer = known[path], known[path]._buffers.get(leaf)
    if buffer is not None and (is_lazy(buffer) or (buffer.shape, buffer.dtype) == (value.shape, value.dtype)):
        return
    module.register_buffer(leaf, torch.empty_like(value, device=device))
