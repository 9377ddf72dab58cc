"""Batches that are mixed, samples that repeat, and losses that get what they name."""

import json
from pathlib import Path

import pytest
import torch
from support import install, tiny_spec, write_spec
from test_resume import at_every_step, go_on, outcome, start

import ftrun as product
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.progress import Progress
from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble

CODE = (Path(__file__).parent / "distributions" / "ftrun_batches.py").read_text()
NAN = float("nan")


@pytest.fixture
def batches(site) -> Catalogue:
    install(site, "ftrun-batches", CODE)
    return installed()


def spec_with(**changes):
    """Of 2 epochs of 3 steps."""
    train = {"batch_size": 8, "precision": "fp32", **changes.pop("train", {})}
    train = train if "phases" in train else {"epochs": 2, **train}
    base = {"dataset": {"name": "tiny", "samples": 20, "val": True}, "loss": "cross-entropy", "metrics": ["accuracy"]}
    return tiny_spec(**{**base, **changes}, train=train)


def job_of(spec, catalogue):
    return assemble(check_spec(spec, catalogue), torch.device("cpu"))


def steps_of(job, epoch=1, start=0):
    """What the loop trains on."""
    loader = job.feed.loaders["train"]
    accumulate = job.spec.train.accumulate
    steps = loader.shuffled(
        job.spec.seed, epoch, lambda batch: job.feed.ready(batch, epoch), accumulate=accumulate, start=start
    )
    return list(job.feed.mixing(steps, epoch, (epoch - 1) * job.feed.steps_per_epoch + start))


def keeps_embeddings(job):
    return job.feed.embeddings.loader(job, "train", 1, job.portions(Progress())) is not None


# Augmentations of batches


def test_mixed_batches_depend_neither_on_workers_nor_on_where_one_begins(batches):
    """Three steps of a split in memory, which is read in one chunk, and by a worker process, batch by batch."""
    spec = spec_with(augment=["horizontal-flip", "mix"])
    whole = steps_of(job_of(spec, batches))
    spec["dataset"]["workers"] = True
    spec["train"]["workers"] = 1
    by_worker = steps_of(job_of(spec, batches))
    later = steps_of(job_of(spec, batches), start=2)
    for one, two in zip([*whole, *whole[2:]], [*by_worker, *later], strict=True):
        assert torch.equal(one[0].inputs, two[0].inputs)
        assert torch.equal(one[0].targets["label"], two[0].targets["label"])
    shares = whole[0][0].targets["label"]
    assert shares.dtype == torch.float32
    assert shares.sum(1).tolist() == pytest.approx([1.0] * len(shares))
    assert ((shares > 0).sum(1) == 2).any()


def test_steps_and_their_batches_are_mixed_apart(batches):
    one, two = (steps_of(job_of(spec_with(augment=["mix"], seed=seed), batches)) for seed in (0, 0))
    assert torch.equal(one[1][0].inputs, two[1][0].inputs)
    accumulated = steps_of(job_of(spec_with(augment=["mix"], train={"accumulate": 2}), batches))
    assert [len(step) for step in accumulated] == [2, 1]
    weights = [batch.targets["label"].amax(1).tolist() for step in accumulated for batch in step]
    assert weights[0] != weights[1]


def test_the_gradient_does_not_depend_on_the_size_of_parts(batches):
    """The batch is mixed before memory is short: parts of it have the loss of the whole."""
    spec = spec_with(augment=["mix"], backbone={"name": "tiny", "norm": False})
    from ftrun.contracts.objective import StepInfo

    losses = []
    for micro_batch in (None, 3):
        job = job_of(spec, batches)
        (first, *_) = steps_of(job)
        at, progress = StepInfo(0, 1, 0, 0.0, training=True), Progress(micro_batch=micro_batch)
        values = job.engine.gradients(job.learner, first, 8, at, progress)
        losses.append([float(values["loss"]), *(float(each.grad.norm()) for each in job.learner.net.parameters())])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4, abs=1e-7)


def test_a_mixed_run_is_resumed_to_the_bit(batches):
    spec = spec_with(augment=["horizontal-flip", "mix"], sampler="twice")
    folder, copies = at_every_step(spec, Path.cwd(), batches)
    expected = outcome(folder)
    for copy in (copies[1], copies[4]):
        assert outcome(go_on(copy, batches)) == expected


def test_a_frozen_backbone_sees_mixed_batches(batches):
    phases = {"phases": [{"epochs": 2, "freeze": "features", "views": 1}]}
    jobs = [job_of(spec_with(augment=augment, train=phases), batches) for augment in (["mix"], ["horizontal-flip"])]
    assert [keeps_embeddings(job) for job in jobs] == [False, True]


def test_a_loss_that_does_not_take_shares_is_refused(batches, ftrun):
    spec = spec_with(augment=["mix"], loss="curious")
    result = ftrun(write_spec(spec), "--out", "run")
    assert result.exit_code == 2, result.output
    assert "loss: 'curious' does not take what 'mix' makes of target 'label', each class's share" in result.output
    assert not Path("run").exists()


def test_what_mixes_batches_comes_last(batches, ftrun):
    result = ftrun("check", write_spec(spec_with(augment=["mix", "horizontal-flip"])))
    assert result.exit_code == 2
    assert "augment.0: 'mix' mixes whole batches, and 'horizontal-flip' after it draws for each" in result.output


def test_mixed_values():
    classes, half = product.Classes(names=("a", "b", "c")), torch.tensor([0.75])
    mixed = classes.mixed(torch.tensor([0, 2, -1]), torch.tensor([1, 2, 0]), half)
    assert mixed[:2].tolist() == [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
    assert mixed[2].isnan().all()
    assert classes.present(mixed).tolist() == [True, True, False]
    again = classes.mixed(mixed[:1], torch.tensor([2]), torch.tensor([0.5]))
    assert again.tolist() == [[0.375, 0.125, 0.5]]
    values = product.Values(names=("x",)).mixed(torch.tensor([[1.0], [NAN]]), torch.tensor([[3.0], [1.0]]), half)
    assert values[0].tolist() == [1.5]
    assert values[1].isnan()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"class_weights": {"b": 4.0}}])
def test_cross_entropy_of_shares_is_the_mean_of_that_of_labels(options):
    from ftrun_losses import CrossEntropyLoss

    target = product.Classes(names=("a", "b", "c"))
    loss = CrossEntropyLoss(name="cross-entropy", **options).build(target, torch.arange(3))
    outputs, one, two = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    assert float(loss(outputs, target.in_shares(one))) == pytest.approx(float(loss(outputs, one)), rel=1e-5)
    if "class_weights" not in options:  # a mixed sample has the mean of the weights
        mixed = loss(outputs, target.mixed(one, two, torch.tensor([0.3])))
        assert float(mixed) == pytest.approx(
            0.3 * float(loss(outputs, one)) + 0.7 * float(loss(outputs, two)), rel=1e-5
        )


# Samples that repeat


def test_a_sample_that_comes_again_is_augmented_anew(batches):
    spec = spec_with(sampler="twice", augment=["horizontal-flip", "random-crop"])
    job, again = job_of(spec, batches), job_of(spec, batches)
    assert job.feed.steps_per_epoch == 3
    assert job.feed.samples["train"] == 20
    steps = [batch for step in steps_of(job) for batch in step]
    ids, inputs = torch.cat([each.ids for each in steps]), torch.cat([each.inputs for each in steps])
    assert ids.bincount().tolist() == [2] * 10
    assert sum(not torch.equal(*inputs[ids == sample]) for sample in range(10)) > 5
    assert torch.equal(inputs, torch.cat([batch.inputs for step in steps_of(again) for batch in step]))


def test_epochs_are_of_one_length(batches):
    from ftrun.contracts.errors import PluginError

    order = job_of(spec_with(sampler="twice"), batches).feed.order
    order._function = lambda seed, epoch: torch.arange(19 + epoch)
    assert len(order(0, 1)) == 20
    with pytest.raises(
        PluginError, match=r"'twice' of ftrun-batches 1\.0: indices\(0, 2\) is Tensor int64 \[21\], but"
    ):
        order(0, 2)


def test_a_run_of_repeating_samples(batches):
    folder = start(spec_with(sampler="twice"), Path("run"), batches)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    resolved = json.loads((folder / "resolved.json").read_text())
    assert {"part": "sampler", "role": "sampler", "name": "twice"}.items() <= resolved["plugins"][1].items()


def test_a_corrupt_sample_that_comes_again_is_one(batches):
    spec = spec_with(sampler="twice", train={"on_corrupt": 2})
    spec["dataset"]["fails_at"] = 3
    folder = start(spec, Path("run"), batches)
    corrupt = json.loads((folder / "results.json").read_text())["corrupt"]
    assert [(each["split"], each["sample"]) for each in corrupt] == [("train", 3)]


# Losses by name


def test_a_loss_gets_what_it_names(batches):
    spec = spec_with(loss="curious")
    job = job_of(spec, batches)
    ((batch, *_),) = steps_of(job)[:1]
    from ftrun.contracts.objective import StepInfo

    terms = job.learner.objective(job.learner.net, batch, StepInfo(0))
    (loss,) = job.learner.objective.losses
    assert loss.seen[-1] == ((8, 3), (8,), (8, 8), torch.float32, batch.ids.tolist())
    plain = job.learner.net(batch.inputs)["label"]
    assert torch.equal(terms.outputs["label"], plain)
    terms.loss.backward()
    assert loss.centres.grad.any()


def test_a_loss_of_embeddings_takes_those_of_a_frozen_backbone(batches):
    frozen = {"phases": [{"epochs": 2, "freeze": "features"}]}
    losses = [{"name": "curious", "inputs": inputs} for inputs in (False, True)]
    jobs = [job_of(spec_with(loss=loss, train=frozen), batches) for loss in losses]
    assert [keeps_embeddings(job) for job in jobs] == [True, False]
