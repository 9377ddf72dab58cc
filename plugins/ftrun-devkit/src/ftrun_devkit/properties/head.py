"""What holds for heads alone."""

from pathlib import Path

import torch

from ftrun import VectorTarget
from ftrun_devkit.kinds import target_of
from ftrun_devkit.subject import Subject, expect, ready_inputs
from ftrun_devkit.suite import holds_for


@holds_for("head")
@torch.no_grad()
def output_for_each_kind(subject: Subject, place: Path) -> None:
    """Each kind of target that it works on gets an output of its own size for each sample, finite numbers."""
    for kind in subject.part.kinds:  # type: ignore[attr-defined]
        target = target_of(kind)
        net = subject.net(place, target=target).eval()
        output = net(ready_inputs(net))["label"]
        if not isinstance(target, VectorTarget):
            count = len(target.predictions(target.decode(output)))
            expect(
                count == 2,
                f"for two samples with {kind} there are {count} predictions.",
                "Give the output that `decode` and `predictions` of the target take.",
            )
            continue
        shape = list(output.shape)
        expect(
            shape == [2, target.outputs] and bool(output.isfinite().all()),
            f"for {target.outputs} {kind} it gives {shape}.",
            "Give [B, target.outputs], or leave the kind out of `kinds`.",
        )
