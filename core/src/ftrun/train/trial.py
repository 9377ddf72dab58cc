"""A net is tried on a made-up input before any data is read: what it cannot take is a mistake of the spec."""

import torch

from ftrun.contracts.errors import SpecError
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.net import Net
from ftrun.contracts.trees import moved
from ftrun.plugins.building import blame_all


@torch.no_grad()
def try_out(net: Net) -> None:
    """Run a net once, in evaluation mode, on its device. Raises whatever it raises.

    Where it would take an input of another size or number of channels, that is SpecError, and says so.
    """
    training = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            _run(net, net.input)
    except torch.OutOfMemoryError:  # is met with in training, and answered there
        return
    except Exception as error:
        fitting = next((line for other, line in net.input.alternatives() if _takes(net, other)), None)
        if fitting is None:
            blame_all(error, net.parts)
            raise
        raise SpecError(fitting, where="input") from error
    finally:
        for module, mode in training.items():
            module.training = mode


def _takes(net: Net, prepare: InputSpec) -> bool:
    try:
        _run(net, prepare)
    except Exception:  # whatever a net raises on what it cannot take
        return False
    return True


def _run(net: Net, prepare: InputSpec) -> None:
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    net(prepare.prepare(moved(prepare.collate(prepare.example(1)), device)))
