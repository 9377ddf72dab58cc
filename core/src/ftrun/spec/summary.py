"""How a spec trains, in a line."""

from collections.abc import Iterator

from ftrun.contracts.printable import shortlist
from ftrun.spec.runspec import RunSpec
from ftrun.spec.trainspec import Phase


def summary(spec: RunSpec) -> str:
    """Return loss, optimizer, phases, augmentations and input of a whole spec in words."""
    return "; ".join([_parts(spec), _course(spec), *_inputs(spec)])


def _parts(spec: RunSpec) -> str:
    losses = dict.fromkeys(loss.name for key, loss in spec.parts() if key.partition(".")[0] == "loss")
    schedule = f", {spec.scheduler.name}" if spec.scheduler else ""
    lr = getattr(spec.optimizer, "lr", None)
    rate = f" at {lr:g}" if isinstance(lr, float) else ""
    return f"{' and '.join(losses) or 'no loss of its own'}, {spec.optimizer.name}{rate}{schedule}"


def _course(spec: RunSpec) -> str:
    phases = spec.train.phases
    if not phases:
        return _epochs(spec.train.epochs, "everything")
    return ", then ".join(_phase(phase) for phase in phases)


def _phase(phase: Phase) -> str:
    what = "everything" if phase.freeze is None else f"what comes after {phase.freeze}"
    options = [f"at {phase.lr_scale:.3g} of the rate"] if phase.lr_scale != 1 else []
    options += [f"layer decay {phase.layer_decay:g}"] if phase.layer_decay != 1 else []
    return ", ".join([_epochs(phase.epochs, "the head alone" if phase.freeze == "features" else what), *options])


def _epochs(epochs: float, what: str) -> str:
    return f"{what} for {epochs:.3g} epoch{'s' * (epochs != 1)}"


def _inputs(spec: RunSpec) -> Iterator[str]:
    if spec.augment:
        yield "augmented by " + shortlist([part.name for part in spec.augment])
    for option, value in spec.input_overrides.items():
        yield f"input {option} {' x '.join(map(str, value)) if isinstance(value, tuple) else value}"
