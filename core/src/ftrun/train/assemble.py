"""From a checked spec to the live objects of a run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Splits, columns_of
from ftrun.contracts.errors import SpecError, located
from ftrun.contracts.net import Net
from ftrun.contracts.randomness import seed_of
from ftrun.contracts.targets import Target
from ftrun.data import splits as split_checks
from ftrun.data.loader import Order
from ftrun.plugins.building import Blaming, BlamingObject, build, inside
from ftrun.spec.pairs import mismatch, wrong_kinds
from ftrun.spec.runspec import RunSpec
from ftrun.train import init_from
from ftrun.train.accel.graphs import Graphs
from ftrun.train.augmenting import Augmenter
from ftrun.train.checks import check_sample, fault_of_order
from ftrun.train.device import warming_up
from ftrun.train.engine import Engine
from ftrun.train.evaluate import Evaluator
from ftrun.train.feed import Feed
from ftrun.train.flips import check_flips
from ftrun.train.job import Job
from ftrun.train.kept import TrainInput, train_inputs
from ftrun.train.learner import build_learner
from ftrun.train.mixing import Mixing
from ftrun.train.monitor import monitor_of
from ftrun.train.nets import build_net, check_compiler
from ftrun.train.norm import LoneSamples, Norm
from ftrun.train.objective import build_objective
from ftrun.train.opendata import OpenData, open_data
from ftrun.train.partstates import PartStates
from ftrun.train.ready import Ready
from ftrun.train.supervised import Supervised
from ftrun.train.trial import check_mixed, try_out
from ftrun.train.tuning import ComputeFormat, allowed


def assemble(
    spec: RunSpec,
    device: torch.device,
    say: Callable[[str], None] = lambda line: None,
    *,
    weights: Path | None = None,
    states: PartStates | None = None,
    setting: ComputeFormat | None = None,
    norms: Sequence[Norm] | None = None,
    short: bool = False,
    inspect: Callable[[Splits], Splits] = lambda splits: splits,
    data: OpenData | None = None,
) -> Job:
    """Build every part of `spec`; no sample but the first is read, and no step taken.

    say: shows a line to the user, now and as the run goes on
    weights: the checkpoint whose weights the net starts from
    states: what a checkpoint has of the input and of parts, where the weights will come from it: none are fetched then
    setting: precision and memory format that the run had before; the first that the spec allows if not given
    norms: what batch normalisation did in each phase of the run before; chosen if not given
    short: whether a few batches of train and val are enough, as where only the going on is of interest
    inspect: given the splits; gives those to take, or raises what is wrong with them
    data: the spec's, where it is open already

    Raises SpecError, DataError or PluginError with the part's place in the spec.
    """
    states = states or PartStates()
    new = states.input is None
    with warming_up(device):
        data = data or open_data(spec, say)
        splits = data.splits
        if short:
            splits = split_checks.shortened(splits, spec.train.batch_size, spec.train.accumulate)
        splits = inspect(splits)
        _check_targets(spec, splits.targets)
        monitor = monitor_of(spec, splits.targets)
        with located("dataset"):
            split_checks.check_monitored(splits, monitor.names)
        torch.manual_seed(seed_of(spec.seed, "build"))  # what is not pretrained starts from the seed
        net = build_net(spec, splits.targets, states, splits.training)
        if new:
            splits = splits.with_notes(*_look_at(data.built.files, net, say))
    for note in net.notes:
        say(note)
    check_sample(spec, splits.training, net.input)
    source = init_from.initialise(net, weights, say) if weights else None
    net = net.to(device)
    if spec.evaluation.flips:
        check_flips(net.input, splits.targets, "evaluation.flips")
    inputs = train_inputs(spec, net.input, splits.training, say)
    if others := [each.seen for each in inputs if each.seen != net.input]:
        net.take_other_sizes()
    if new:
        try_out(net, others)
    losses = build_losses(spec, splits, columns_of(splits.training), net, device, states)
    objective = build_objective(spec, net, losses, device, states)
    metrics = build_metrics(spec, splits.targets, device)
    if spec.train.compile:
        check_compiler(device)
    augmenter = Augmenter.of(spec, net, TrainInput(net.input, inputs[-1].kept).size)
    ready = Ready(spec.seed, device, net.prepare, augmenter, objective.views)
    mixing = Mixing.of(spec, splits.targets)
    if mixing and objective.views > 1:
        by = ", ".join(repr(part.name) for _, part in spec.augmentations() if part.reach == "batch")
        raise SpecError(
            f"the objective takes {objective.views} views of each sample, which {by} would mix apart: leave it out.",
            where="augment",
        )
    if losses is not None and mixing:
        check_mixed(spec, net, losses, mixing, device)
    feed = Feed(spec, device, splits, net.input, ready, mixing, build_order(spec, splits), say, inputs)
    setting = setting or allowed(spec.train, net)[0]
    for module in (net, objective):
        setting.apply(module)
    learner = build_learner(spec, net, objective, feed.steps_per_epoch, norms)
    records = spec.train.cuda_graphs and objective.records and not spec.train.compile
    graphs = Graphs((net, objective), device, say, enabled=records)
    return Job(
        spec=spec,
        feed=feed,
        learner=learner,
        course=spec.train.course(feed.steps_per_epoch),
        engine=Engine(spec.seed, device, setting, graphs, LoneSamples((net, objective), say), say),
        evaluator=Evaluator(
            net=learner.evaluated_net,
            seed=spec.seed,
            device=device,
            setting=setting,
            objective=objective,
            targets=splits.targets,
            missing=split_checks.with_missing(splits),
            metrics=metrics,
            ready=feed.ready,
            flips=spec.evaluation.flips,
        ),
        monitor=monitor,
        source=source,
        states=states,
        val_was_cut=data.built.val is None,
    )


def _look_at(files: list[str], net: Net, say: Callable[[str], None]) -> list[str]:
    """Settle what of the net's input is a matter of all files together; return what there is to know of them."""
    prepare, notes = net.input.looked_at(files, new=True)
    if prepare != net.input:
        net.set_input(prepare)
    for note in notes:
        say(note)
    return notes


def build_order(spec: RunSpec, splits: Splits) -> Order | None:
    """What tells which training samples an epoch takes; None where the spec has no sampler."""
    if spec.sampler is None:
        return None
    samples, made = len(splits.training), build(spec.sampler, "sampler", splits.training, splits.targets)
    check = partial(fault_of_order, samples, len(made.indices(0, 1)))
    return Blaming(made.indices, spec.sampler, "sampler", check)


def build_losses(
    spec: RunSpec,
    splits: Splits,
    values: Mapping[str, Tensor | None],
    net: Net,
    device: torch.device,
    states: PartStates,
) -> Supervised | None:
    """The sum of all targets' losses; None where the spec has none, since its objective takes none.

    splits: what is judged or learnt from
    values: columns of the run's training split, by target, [N, ...]; None where there is none
    states: build the losses
    """
    if spec.loss is None:
        return None
    built, parts = {}, {}
    for name, target in splits.targets.items():
        loss = spec.loss_of(name)
        parts[name] = ("loss" if loss is spec.loss else f"loss.{name}", loss)
        column = values.get(name)
        known = None if column is None else column[target.present(column)]
        place = f"loss.{name}" if len(splits.targets) > 1 else parts[name][0]  # one loss, with a state for each target
        built[name] = states.build(loss, parts[name][0], target, known, key=place, net=net)
    missing = split_checks.with_missing(splits)
    return Supervised(built, splits.targets, spec.train.loss_weights, missing, parts).to(device)


def build_metrics(spec: RunSpec, targets: Mapping[str, Target], device: torch.device) -> dict[str, dict[str, Any]]:
    """For each target, the metrics that work on it, by their keys."""
    built: dict[str, dict[str, Any]] = {name: {} for name in targets}
    for name, target in targets.items():
        for index, metric in enumerate(spec.metrics):
            if target.kind in metric.kinds:
                where = f"metrics.{index}"
                made = build(metric, where, target)
                with inside(metric, where):
                    made = made.to(target.decoding_device(device))
                built[name][metric.key] = BlamingObject(made, metric, where, ("update", "compute", "reset"))
    return built


def _check_targets(spec: RunSpec, targets: Mapping[str, Target]) -> None:
    """Raise SpecError where a loss, a head or a metric does not work on what the dataset asks for."""
    if spec.loss is not None and not targets:
        raise SpecError(
            "the dataset has no targets, so there is nothing to compare outputs with. Leave the loss out, with an "
            "objective that needs none.",
            where="loss",
        )
    for mistake in wrong_kinds(spec, {name: target.kind for name, target in targets.items()}):
        raise SpecError(mistake.message, where=mistake.where)
    for name, target in targets.items():
        where, head = spec.head_of(name, target)
        if not head.works_on(target):
            raise SpecError(mismatch(head, name, target.kind), where=where)
