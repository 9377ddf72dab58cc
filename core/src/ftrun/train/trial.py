"""A net is tried on a made-up input before any data is read: what it cannot take is a mistake of the spec."""

from collections.abc import Sequence

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.net import Net
from ftrun.contracts.stages import evaluation_mode
from ftrun.contracts.trees import leaves, moved, tree_index
from ftrun.plugins.building import blame_all
from ftrun.spec.runspec import RunSpec
from ftrun.train.mixing import Mixing
from ftrun.train.objective import evaluating
from ftrun.train.supervised import Supervised

_MIXED = 4  # samples of a made-up batch that is mixed


@torch.no_grad()
def try_out(net: Net, others: Sequence[InputSpec] = ()) -> None:
    """Run a net once, in evaluation mode, on its device. Raises whatever it raises.

    Where it would take an input of another size or number of channels, that is SpecError, and says so.

    others: inputs that it takes in some phases
    """
    _try(net, net.input, "input")
    for each in others:
        _try(net, each, "train.phases")


def _try(net: Net, prepare: InputSpec, where: str) -> None:
    try:
        with evaluation_mode(net), torch.random.fork_rng(devices=[]):
            _run(net, prepare)
    except torch.OutOfMemoryError:  # is met with in training, and answered there
        return
    except Exception as error:
        with evaluation_mode(net):
            fitting = next((line for other, line in prepare.alternatives() if _takes(net, other)), None)
        if fitting is None and where != "input":
            first = str(error).partition("\n")[0]
            fitting = f"the net takes inputs as the spec's input has them, not as a phase does ({first})."
        if fitting is None:
            blame_all(error, net.parts)
            raise
        raise SpecError(fitting, where=where) from error


def check_mixed(spec: RunSpec, net: Net, losses: Supervised, mixing: Mixing, device: torch.device) -> None:
    """Raise SpecError where a loss does not take the values that an augmentation of batches makes of a target's."""
    made_up = {name: made for name, target in net.targets.items() if (made := target.made_up())}
    values = {name: moved(tree_index(each, torch.arange(_MIXED)), device) for name, (_, each) in made_up.items()}
    outputs = {name: moved(tree_index(each, torch.arange(_MIXED)), device) for name, (each, _) in made_up.items()}
    inputs = net.prepare(moved(net.input.collate(net.input.example(_MIXED)), device))
    ids = torch.arange(_MIXED, device=device)
    mixed = mixing.augmented(Batch(inputs, values, ids), 0, 0, 0)
    more = {"embedding": torch.ones(_MIXED, net.num_features, device=device), "inputs": inputs, "ids": ids}
    by = ", ".join(repr(part.name) for _, part in spec.augmentations() if part.reach == "batch")
    for name, before in values.items():
        after = mixed.targets[name]
        if [each.dtype for each in leaves(after)] == [each.dtype for each in leaves(before)]:
            continue
        try:
            with torch.random.fork_rng(devices=[]), evaluating(losses):
                losses.of_target(name, outputs[name], after, more)
        except Exception as error:
            raise SpecError(
                f"{spec.loss_of(name).name!r} does not take what {by} makes of target {name!r}, each class's share: "
                f"{type(error).__name__}: {str(error).partition(chr(10))[0]} Take another loss, such as cross-entropy, "
                "or leave the augmentation out.",
                where="loss" if spec.loss is spec.loss_of(name) else f"loss.{name}",
            ) from error


def _takes(net: Net, prepare: InputSpec) -> bool:
    try:
        _run(net, prepare)
    except Exception:  # whatever a net raises on what it cannot take
        return False
    return True


def _run(net: Net, prepare: InputSpec) -> None:
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    net(prepare.prepare(moved(prepare.collate(prepare.example(1)), device)))
