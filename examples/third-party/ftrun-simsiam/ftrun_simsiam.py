"""Objective `simsiam`: a net learns from images alone that two views of one are alike."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:  # for annotations alone, which then stand in quotes
    from torch import Tensor, nn

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class SimSiam(ftrun.Objective):
    """Two augmented views of each sample are brought together; no labels (SimSiam).

    Where the data has classes, they are used to follow what is learned, and teach the backbone nothing: by the nearest
    neighbours of each sample (`val/knn`), and by the net's head, which learns from embeddings that are held fast.
    """

    name: Literal["simsiam"]
    uses_losses = False
    width: int = Field(512, ge=4, description="Length of what views are compared by, after the projector.")
    hidden: int = Field(128, ge=1, description="Hidden units of the predictor; a quarter of `width` is usual.")
    neighbours: int = Field(20, ge=1, description="Training samples that vote on a sample's class.")
    memory: int = Field(4096, ge=1, description="How many of the last training samples may vote.")

    def build(self, net: "ftrun.Net", losses: "ftrun.ObjectiveModule | None") -> "ftrun.ObjectiveModule":
        """Chen and He, "Exploring simple Siamese representation learning", CVPR 2021, equations 1 to 4.

        With z the projected embedding of a view, p = predictor(z), and sg() that no gradient goes through:

            loss = -cos(p1, sg(z2)) / 2 - cos(p2, sg(z1)) / 2

        Parts are `spread`, the deviation of z's directions, near 1 if all are used and 0 if the net has collapsed to
        one; and for each target with classes `knn` and `probe`: the accuracy of its neighbours' votes, weighted by
        exp(cos / 0.07) (Wu et al., 2018), and the head's cross-entropy. With several such targets, `NAME/knn`.
        """
        import torch  # here, not above: ftrun lists and checks parts without torch
        from torch import nn
        from torch.nn import functional as F

        part = self
        classes = {name: target.outputs for name, target in net.targets.items() if target.kind == "classes"}
        prefix = {name: f"{name}/" if len(classes) > 1 else "" for name in classes}

        class Module(ftrun.ObjectiveModule):
            views = 2

            def __init__(self) -> None:
                super().__init__()
                width = part.width
                self.projector = nn.Sequential(*_layer(net.num_features, width), *_layer(width, width)[:2])
                self.predictor = nn.Sequential(*_layer(width, part.hidden), nn.Linear(part.hidden, width))
                # The last samples that were trained on: their directions, and classes or -1.
                self.register_buffer("seen", torch.zeros(part.memory, net.num_features))
                self.register_buffer("labels", torch.full((len(classes), part.memory), -1))
                self.register_buffer("count", torch.zeros((), dtype=torch.int64))

            def forward(self, net: "ftrun.Net", batch: ftrun.Batch, at: "ftrun.StepInfo") -> "ftrun.Terms":
                one, two = (net.embed(view).float() for view in batch.views)
                z1, z2 = self.projector(one), self.projector(two)
                alike = _cosine(self.predictor(z1), z2) + _cosine(self.predictor(z2), z1)
                spread = F.normalize(z1.detach().float(), dim=1).std(0, correction=0).mean() * part.width**0.5
                loss, parts = -alike.mean() / 2, {"spread": spread}
                outputs = net.outputs(one.detach()) if classes else {}
                directions = F.normalize(one.detach(), dim=1)
                labels = [batch.targets[name].to(directions.device) for name in classes]
                for row, (name, truth) in enumerate(zip(classes, labels, strict=True)):
                    voted = self.votes(directions, row, classes[name]).argmax(1)
                    known = (truth >= 0).sum().clamp(min=1)
                    probe = F.cross_entropy(outputs[name].float(), truth, ignore_index=-1, reduction="sum") / len(truth)
                    parts |= {f"{prefix[name]}knn": (voted == truth).sum() / known, f"{prefix[name]}probe": probe}
                    loss = loss + probe
                if self.training:
                    self.remember(directions, labels)
                return ftrun.Terms(loss, outputs, parts)

            def votes(self, directions: "Tensor", row: int, count: int) -> "Tensor":
                """Each class's votes by the nearest samples in the memory, float32 [B, K]."""
                labels = self.labels[row]
                alike = (directions @ self.seen.T).masked_fill(labels < 0, -torch.inf)
                nearest = alike.topk(min(part.neighbours, part.memory), dim=1)
                weights = (nearest.values / 0.07).exp()
                return weights.new_zeros(len(directions), count).scatter_add_(
                    1, labels[nearest.indices].clamp(min=0), weights
                )

            def remember(self, directions: "Tensor", labels: list["Tensor"]) -> None:
                """Write samples over the oldest ones."""
                samples = directions[-part.memory :]
                places = (self.count + torch.arange(len(samples), device=samples.device)) % part.memory
                self.seen[places] = samples
                for row, each in enumerate(labels):
                    self.labels[row, places] = each[-part.memory :]
                self.count += len(samples)

        def _cosine(predicted: "Tensor", projected: "Tensor") -> "Tensor":
            return F.cosine_similarity(predicted.float(), projected.detach().float(), dim=1)

        return Module()


def _layer(inputs: int, outputs: int) -> "tuple[nn.Module, nn.Module, nn.Module]":
    from torch import nn

    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [SimSiam]
