"""What holds for losses, optimizers and schedulers."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ftrun import Target, tree_index
from ftrun.commands import build
from ftrun.devtools import evaluating, load_optimizer, load_state, optimizer_state, pack, reseed, state_of, unpack
from ftrun_devkit.kinds import CORE, predictions, samples, some, target_of, tensors
from ftrun_devkit.properties.net import expect_same
from ftrun_devkit.run import tiny_spec
from ftrun_devkit.subject import Subject, close, expect, fail
from ftrun_devkit.suite import holds_for

# Losses


@holds_for("loss")
def scalar_and_finite(subject: Subject, place: Path) -> None:
    """A loss is one finite number, for every kind of target that it names, for sure predictions too."""
    for kind in subject.make(place).kinds:
        loss, target = loss_of(subject, place, kind)
        outputs, values = to_compare(subject, target, 6)
        for scale in (1.0, 1e4) if kind in CORE else (1.0,):
            value = loss(outputs * scale if kind in CORE else outputs, values)
            expect(
                value.ndim == 0 and bool(value.isfinite()),
                f"on {kind} with outputs {scale:.0f} times as sure it is {value.tolist()}.",
                "Give the mean over the batch as a scalar, from logits: log_softmax and logsigmoid do not overflow.",
            )


@holds_for("loss")
def differentiable(subject: Subject, place: Path) -> None:
    """It has a finite gradient that is not nothing."""
    for kind in subject.make(place).kinds:
        loss, target = loss_of(subject, place, kind)
        outputs, values = to_compare(subject, target, 6)
        leaves = [each.requires_grad_() for each in tensors(outputs) if each.is_floating_point()]
        value = loss(outputs, values)
        if value.grad_fn is None:
            fail(
                f"on {kind} nothing can be learnt from it: it has no gradient.", "Leave out detach(), item(), argmax()."
            )
        value.backward()
        gradients = [each.grad for each in leaves if each.grad is not None]
        moves = any(bool(gradient.any()) for gradient in gradients)
        expect(
            moves and all(bool(gradient.isfinite().all()) for gradient in gradients),
            f"on {kind} its gradient is {'not finite' if moves else 'zero'}.",
            "Let it depend smoothly on the outputs.",
        )


@holds_for("loss")
def mean_over_batch(subject: Subject, place: Path) -> None:
    """A batch in two halves gives the mean of theirs: accumulated gradients are those of the whole batch."""
    for kind in subject.make(place).kinds:
        loss, target = loss_of(subject, place, kind)
        loss.eval()  # in training, it may follow what it has seen
        outputs, values = to_compare(subject, target, 8)
        whole = loss(outputs, values)
        halves = sum(loss(some(outputs, *each), some(values, *each)) for each in ((0, 4), (4, 8))) / 2
        expect(
            close(whole, halves, 1e-4),
            f"on {kind} a batch has {float(whole):.5g}, the mean of its halves is {float(halves):.5g}.",
            "Divide the sum over samples by their number, and by nothing else.",
        )


@holds_for("loss", name="state-round-trip")
def loss_state_round_trip(subject: Subject, place: Path) -> None:
    """Built again with the state that it has after a step, it is the same loss; and evaluating changes nothing."""
    for kind in subject.make(place).kinds:
        (loss, target), (again, _) = (loss_of(subject, place, kind) for _ in range(2))
        outputs, values = to_compare(subject, target, 6)
        loss(outputs, values)
        load_state(again, state_of(loss), torch.device("cpu"))
        with evaluating(loss), evaluating(again):
            first, second, third = (_evaluated(each, outputs, values) for each in (loss, again, loss))
        expect(
            close(first, second) and close(first, third),
            f"on {kind} the same outputs give another loss the second time.",
            "Keep no state between calls but in parameters and registered buffers, and change these in training alone.",
        )


def _evaluated(loss: nn.Module, outputs: Any, values: Any) -> Tensor:
    """Its value, by the same random numbers each time."""
    reseed(torch.device("cpu"), 0)
    value: Tensor = loss(outputs, values)
    return value


@holds_for("loss", "objective", "optimizer", "sampler", "scheduler")
def survives_resume(subject: Subject, place: Path) -> None:
    """A run that is broken off and resumed ends with the same weights, to the bit."""
    if not subject.is_learnable:
        return
    # A sampler's epochs may be short; what is broken off has to be past the first.
    longer = {"train": {**tiny_spec()["train"], "epochs": 4}} if subject.part.role == "sampler" else {}
    expect_same(
        subject.run(place, **longer),
        subject.interrupted(place, **longer),
        "Keep all state where a checkpoint finds it: an optimizer's in `self.state`, a loss's in parameters and "
        "registered buffers, an objective's too, and let a schedule be a function of progress alone.",
    )


def loss_of(subject: Subject, place: Path, kind: str) -> tuple[nn.Module, Target]:
    """The loss on a target of that kind."""
    target = target_of(kind)
    column = predictions(target, 60)[1] if kind in CORE else None  # known without reading inputs
    part, net = subject.make(place), subject.host()
    if part.head is not None:
        net = subject.headed(part.head, net, target)
    loss: nn.Module = build(part, "loss", target, column, net=net)
    return loss, target


def to_compare(subject: Subject, target: Target, count: int) -> tuple[Any, Any]:
    """A head's outputs for so many samples and values for them, as a loss gets both."""
    if target.kind in CORE:
        return predictions(target, count)
    values = predictions(target, count)[1]
    chosen = torch.arange(count) % samples(target, values)
    return subject.outputs(target, count), target.encode(tree_index(values, chosen))


# Optimizers


@holds_for("optimizer")
def learns(subject: Subject, place: Path) -> None:
    """With its defaults it makes a simple loss smaller, and weights stay finite."""
    net = tiny_problem()
    before = float(_problem_loss(net).detach())
    _steps(net, subject.make(place).build(net.parameters()), 50)
    after = float(_problem_loss(net).detach())
    expect(
        math.isfinite(after) and after < before,
        f"after 50 steps a least-squares loss is {after:.4g}; it was {before:.4g}.",
        "Step against the gradient, by lr.",
    )


@holds_for("optimizer")
def parameter_groups(subject: Subject, place: Path) -> None:
    """It takes torch's parameter groups, and reads each group's `lr` at each step: at 0 nothing moves."""
    net = tiny_problem()
    optimizer = subject.make(place).build([{"params": [net.weight]}, {"params": [net.bias]}])
    expect(
        len(optimizer.param_groups) == 2 and all("lr" in group for group in optimizer.param_groups),
        f"given two parameter groups, it has {len(optimizer.param_groups)}, with the keys "
        f"{sorted(optimizer.param_groups[0])}.",
        "Hand `params` and the default `lr` on to torch.optim.Optimizer.__init__.",
    )
    weight, bias = net.weight.detach().clone(), net.bias.detach().clone()
    for group, lr in zip(optimizer.param_groups, (0.0, 0.05), strict=True):
        group["lr"] = lr
    _steps(net, optimizer, 2)
    expect(
        torch.equal(net.weight, weight) and not torch.equal(net.bias, bias),
        "a group with lr 0 moves, or one with lr 0.05 does not.",
        'Use `group["lr"]` in step(), not the option itself: the scheduler and the phases change it.',
    )


@holds_for("optimizer")
def frozen_left_alone(subject: Subject, place: Path) -> None:
    """A parameter without gradient, because it is frozen, stays as it is, whatever the weight decay."""
    net = tiny_problem()
    net.weight.requires_grad_(False)
    before = net.weight.clone()
    _steps(net, subject.make(place).build(net.parameters()), 3)
    expect(
        torch.equal(net.weight, before),
        "a parameter whose gradient is None is changed.",
        "Pass over parameters whose grad is None.",
    )


@holds_for("optimizer", name="state-round-trip")
def optimizer_state_round_trip(subject: Subject, place: Path) -> None:
    """Its state goes to a checkpoint (tensors, numbers, text, lists, dicts) and back: it goes on as if nothing was."""
    net = tiny_problem()
    optimizer = subject.make(place).build(net.parameters())
    _steps(net, optimizer, 3)
    other = copy.deepcopy(net)
    again = subject.make(place).build(other.parameters())
    tensors: dict[str, Tensor] = {}
    try:
        packed = json.loads(json.dumps(pack(optimizer_state(optimizer), "optimizer", tensors)))
    except Exception as error:
        fail(f"{error}", "Keep tensors, numbers, text, lists and dicts in `self.state` and in the groups.")
    load_optimizer(again, unpack(packed, {name: value.clone() for name, value in tensors.items()}))
    _steps(net, optimizer, 3)
    _steps(other, again, 3)
    expect(
        torch.equal(net.weight, other.weight) and torch.equal(net.bias, other.bias),
        "with its state put back, it goes on differently.",
        "Keep everything that step() remembers in `self.state[parameter]` or in the groups.",
    )


def tiny_problem() -> nn.Linear:
    """A linear layer to be fitted."""
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def _problem_loss(net: nn.Linear) -> Tensor:
    x = torch.linspace(-1, 1, 40).reshape(10, 4)
    return torch.nn.functional.mse_loss(net(x), x[:, :3] * 2 + 1)


def _steps(net: nn.Linear, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        _problem_loss(net).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


# Schedulers

_PROGRESS = [step / 100 for step in range(101)]


@holds_for("scheduler")
def finite_factor(subject: Subject, place: Path) -> None:
    """From progress 0 to 1 it gives a finite factor that is not negative, and not always 0."""
    schedule = subject.make(place).build()
    factors = {progress: schedule(progress) for progress in _PROGRESS}
    for progress, factor in factors.items():
        expect(
            isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0,
            f"at progress {progress} it gives {factor!r}.",
            "Give a number, 1 for the optimizer's own learning rate.",
        )
    expect(any(factors.values()), "it is 0 throughout, so nothing is learnt.", "Give 1 where the rate is to be full.")


@holds_for("scheduler")
def function_of_progress(subject: Subject, place: Path) -> None:
    """It is a pure function of progress: in whatever order, how often, or built anew, it gives the same."""
    schedule = subject.make(place).build()
    forward = [schedule(progress) for progress in _PROGRESS]
    backward = [schedule(progress) for progress in reversed(_PROGRESS)][::-1]
    anew = [subject.make(place).build()(progress) for progress in _PROGRESS]
    expect(
        forward == backward == anew,
        "the factor depends on what was asked before.",
        "Keep no state: a resumed run asks from the middle on.",
    )
