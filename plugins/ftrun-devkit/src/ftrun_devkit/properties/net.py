"""What holds for nets, whether a backbone made them, a modifier changed them, or a head is theirs."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ftrun import FtrunError, Net
from ftrun_devkit.kinds import some, target_of, tensors
from ftrun_devkit.run import TinyRun
from ftrun_devkit.subject import Subject, close, digest, expect, fail, ready_inputs, width
from ftrun_devkit.suite import holds_for
from ftrun_export import Exportable


@holds_for("backbone", "modifier")
@torch.no_grad()
def composes(subject: Subject, place: Path) -> None:
    """`forward(x)` is {target: output} of what the head makes of `pool(features(x))`."""
    net = subject.seen(place)
    x = ready_inputs(net)
    features = net.features(x)
    embedding = net.pool(features) if net.embeds else features
    expect(
        close(net(x), net.outputs(embedding)),
        "forward(x) is not {target: output} of head(pool(features(x))).",
        "Leave forward to ftrun.Net, and let features and pool do all that comes before the head.",
    )


@holds_for("backbone", "modifier")
@torch.no_grad()
def num_features_true(subject: Subject, place: Path) -> None:
    """`num_features` is the length of the embedding that `pool` gives."""
    net = subject.seen(place)
    embedding = net.embed(ready_inputs(net))
    wanted = [2, net.num_features]
    shape = list(embedding.shape) if net.embeds else list(embedding.shape[:2])
    expect(
        shape == wanted and (net.embeds or embedding.ndim == 4),
        f"pool gives {list(embedding.shape)}, but num_features is {net.num_features}"
        f"{'' if net.embeds else ' and embeds is False, which is for maps [B, D, H, W]'}.",
        "Set num_features to what pool really gives, [B, num_features].",
    )


@holds_for("backbone", "modifier")
@torch.no_grad()
def levels_end_in_features(subject: Subject, place: Path) -> None:
    """`pyramid` gives maps from high resolution to low, the last of which is what `features` gives."""
    net = subject.seen(place)
    x = ready_inputs(net)
    *maps, last = net.pyramid(x)
    sizes = [list(each.shape[2:]) for each in (*maps, last)]
    falling = all(one >= other for before, after in pairwise(sizes) for one, other in zip(before, after, strict=True))
    expect(
        close(last, net.features(x)) and (not maps or falling),
        f"the maps of its pyramid are {sizes}, or the last one is not what features gives.",
        "Give a tuple of maps [B, C, H, W] that ends with features(x), or leave pyramid to ftrun.Net.",
    )


@holds_for("backbone", "modifier")
def stages_cover(subject: Subject, place: Path) -> None:
    """Every parameter is in exactly one stage, the head's in `head`, and there is another stage."""
    net = subject.seen(place)
    mend = "Name in `stages` the paths of all that has weights, in order from input to output; not the head."
    try:
        stages = net.stages
    except ValueError as error:
        fail(f"{error}.", mend)
    named = [name for names in stages.values() for name in names]
    every = [name for name, _ in net.weights.named_parameters()]
    expect(sorted(named) == sorted(every), f"stages name {len(named)} parameters of {len(every)}.", mend)
    expect("head" in stages and len(stages) > 1, f"its only stages are {', '.join(stages)}.", mend)
    inside = {name for name in every if net.in_head(name)}
    expect(
        {*stages["head"]} == inside,
        "the stage `head` is not what `head_path` leads to.",
        "Let head_path lead to the last layer.",
    )


@holds_for("backbone", "modifier", "head")
@torch.no_grad()
def samples_apart(subject: Subject, place: Path) -> None:
    """In evaluation mode, what comes out for a sample does not depend on the others of its batch."""
    net = subject.seen(place)
    x = ready_inputs(net, 3)
    expect(
        close(some(net(x)["label"], 0, 1), net(some(x, 0, 1))["label"], 1e-3),
        "a sample alone gives another output than in a batch.",
        "Let nothing but batch normalisation in training look across the batch.",
    )


@holds_for("backbone", "modifier", "head")
def same_seed_same_weights(subject: Subject, place: Path) -> None:
    """What is not pretrained starts from torch's seed: built again, the weights are the same."""
    one, other = (net.state_dict() for net in (subject.seen(place), subject.net(place)))
    differing = [name for name in one if digest(one[name]) != digest(other.get(name))]
    expect(
        one.keys() == other.keys() and not differing,
        f"built twice from one seed, these differ: {', '.join(differing[:3]) or 'the names of weights'}.",
        "Draw from torch's own generator (torch.nn.init does), and from no other.",
    )


@holds_for("backbone", "modifier")
def freezing(subject: Subject, place: Path) -> None:
    """With all but the head frozen, a step of training changes no parameter and no buffer before the head."""
    net = subject.net(place)
    if set(net.stages) == {"head"}:
        return
    net.freeze([stage for stage in net.stages if stage != "head"])
    net.train()
    before = {name: value.clone() for name, value in net.model.state_dict().items()}
    _step(net)
    after = net.model.state_dict()
    changed = [
        name
        for name in before
        if not name.startswith(f"{net.head_path}.") and not torch.equal(before[name], after[name])
    ]
    expect(
        not changed,
        f"frozen, and changed all the same: {', '.join(changed[:3])}.",
        "Keep statistics in modules that stop in evaluation mode, and let train() and freeze() be ftrun.Net's own.",
    )


@holds_for("backbone", "modifier", "head")
def head_learns(subject: Subject, place: Path) -> None:
    """A gradient reaches every parameter of the head, and it is finite."""
    net = subject.net(place)
    net.train()
    _step(net)
    for name, parameter in net.named_parameters():
        if not (parameter.requires_grad and net.in_head(name)):
            continue
        expect(
            parameter.grad is not None and bool(parameter.grad.isfinite().all()),
            f"the head's {name} has {'no' if parameter.grad is None else 'no finite'} gradient.",
            "Let what the head gives depend on all of its parameters, without detach() on the way.",
        )


@holds_for("backbone", "modifier")
def safetensors_round_trip(subject: Subject, place: Path) -> None:
    """`model`'s weights go to a safetensors file and back into a net built without weights: the same output."""
    from safetensors.torch import load_model, save_model

    net = subject.seen(place)
    save_model(net.model, str(place / "weights.safetensors"))
    again = _rebuilt(subject, place, net).eval()
    try:
        load_model(again.model, place / "weights.safetensors")
    except RuntimeError as error:
        fail(
            f"the weights do not fit: {str(error).splitlines()[0]}",
            "Let build() give the same layers, whatever the seed.",
        )
    x = ready_inputs(net)
    with torch.no_grad():
        same = close(net(x), again(x))
    expect(
        same,
        "with the same weights, the net gives another output.",
        "Register all that it computes with as parameters or persistent buffers of `model`.",
    )


@holds_for("backbone", "modifier", "head")
def survives_resume(subject: Subject, place: Path) -> None:
    """A run that is broken off and resumed ends with the same weights, to the bit."""
    if subject.is_learnable:
        expect_same(subject.run(place), subject.interrupted(place))


@holds_for("backbone", "modifier", "head")
@torch.no_grad()
def exports(subject: Subject, place: Path) -> None:
    """torch.export takes net and preparation, with any number of samples, and what it gives computes the same."""
    model = Exportable(subject.seen(place))
    try:
        program = model.program
    except FtrunError as error:
        fail(
            f"{str(error).strip().splitlines()[0]}",
            "Compute with tensors alone in features and pool: no branch on values, no numpy, no sizes of a batch "
            "written down.",
        )
    same = all(close(program.module()(x), model.module(x), 1e-3) for x in map(model.made_up, (3, 2)))
    expect(same, "what torch.export makes of it computes something else.", "Keep no state between calls.")


@holds_for("backbone", "modifier")
@torch.no_grad()
def several_targets(subject: Subject, place: Path) -> None:
    """With two targets, it has a head for each: {target: output}."""
    kinds = {"one": target_of("classes"), "two": target_of("values")}
    if subject.part.role == "backbone":
        net = subject.make(place).build(subject.input)
        net.set_targets(kinds)
    else:
        host = subject.host()
        host.set_targets(kinds)
        net = subject.make(place).build(host)
    output = net.eval()(ready_inputs(net))
    shapes = {name: list(value.shape[:2]) for name, value in output.items()}
    expect(
        shapes == {name: [2, width(target)] for name, target in kinds.items()},
        f"with the targets one and two it gives {shapes}.",
        "Make the last layer with `net.output_layer(in_features)`, which has a head for each target.",
    )


_OF_ITS_TIME = ("manifest.json", "state.json")
"""Files of a checkpoint that say when it was saved, and what the others hold."""


def expect_same(whole: TinyRun, other: TinyRun, mend: str = "") -> None:
    """Both runs left the same weights, state and figures, and of their net the same descriptions: a tokenizer, say."""
    one, two = (run.folder / "checkpoints" for run in (whole, other))
    left = sorted(f"last/{each.name}" for each in (one / "last").iterdir() if each.name not in _OF_ITS_TIME)
    differing = [
        name
        for name in [*left, "best/model.safetensors"]
        if not (two / name).exists() or (one / name).read_bytes() != (two / name).read_bytes()
    ]
    if _figures(whole) != _figures(other):
        differing.append("metrics.jsonl")
    expect(
        not differing,
        f"these differ: {', '.join(differing)}.",
        mend or "Keep no state but in parameters, buffers and the optimizer, and draw from no generator of its own.",
    )


def _figures(run: TinyRun) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if not key.startswith("seconds")} for line in run.metrics]


def _step(net: Net) -> None:
    """A step of gradient descent that makes everything move."""
    outputs = tensors(net(ready_inputs(net, 4))["label"])
    sum((each.square().sum() for each in outputs if each.requires_grad), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    torch.optim.SGD(learning, lr=0.1).step()


def _rebuilt(subject: Subject, place: Path, first: Net) -> Net:
    """The net as a run that is opened again builds it."""
    torch.manual_seed(1)
    part = subject.make(place) if subject.part.role == "backbone" else subject.host_part()
    net: Net = part.without_weights().build(subject.input, **_state(part, first))
    net.set_input(type(net.input).restored(json.loads(first.input.model_dump_json()), net.input))
    net.set_targets({"label": target_of("classes")})
    if subject.part.role == "backbone":
        return net
    modifier = subject.make(place)
    changed: Net = modifier.build(net, **_state(modifier, first))
    return changed


def _state(part: Any, made: Net) -> dict[str, Any]:
    """What a part's `build` is given of its state."""
    state = part.state(made)
    return {} if state is None else {"state": state}
