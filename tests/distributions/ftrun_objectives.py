"""A plugin for tests: objectives with state of every kind, with a teacher, with views, and without losses."""

import copy
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

import ftrun


class Stateful(ftrun.Objective):
    """Losses that a learned temperature scales, a queue of embeddings and a teacher that follows the net."""

    name: Literal["stateful-objective"]
    noise: float = Field(0.1, ge=0, description="Standard deviation of noise, which is drawn for each sample.")
    whole: bool = Field(False, description="Whether it needs whole batches.")

    def build(self, net: Any, losses: Any) -> Any:
        import torch
        from torch import nn

        part = self

        class Module(ftrun.ObjectiveModule):
            whole_batch = part.whole

            def __init__(self) -> None:
                super().__init__()
                self.losses = losses
                self.temperature = nn.Parameter(torch.zeros(()))
                self.teacher = copy.deepcopy(net).requires_grad_(False).eval()
                self.register_buffer("queue", torch.zeros(32, net.num_features))
                self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
                self.modes: list[tuple[bool, bool, bool]] = []

            def get_extra_state(self) -> Any:
                return {"name": "queue of 32", "last": self.queue[-1].clone()}

            def set_extra_state(self, state: Any) -> None:
                assert state["name"] == "queue of 32"

            def forward(self, net: Any, batch: Any, at: Any) -> Any:
                self.modes.append((self.training, self.teacher.training, at.training))
                terms = self.losses(net, batch, at)
                embedding = net.pool(net.features(batch.inputs)).float()
                noise = at.random(batch.ids, "noise").uniform(embedding.shape[1], low=-part.noise, high=part.noise)
                taught = self.teacher.pool(self.teacher.features(batch.inputs)).float()
                apart = (embedding + noise - taught).square().mean()
                near = (embedding @ self.queue.clone().T).mean()
                if self.training:
                    self.queue.copy_(torch.cat([embedding.detach(), self.queue])[:32])
                loss = terms.loss * self.temperature.exp() + apart + 0.01 * near * (1 + at.progress)
                return ftrun.Terms(loss, terms.outputs, {"apart": apart, "near": near})

            def after_step(self, net: Any, at: Any) -> None:
                assert not torch.is_grad_enabled()
                self.steps += 1
                for mine, new in zip(self.teacher.parameters(), net.parameters(), strict=True):
                    mine.lerp_(new, 0.1)

        return Module()


class Distill(ftrun.Objective):
    """The losses, and the distance from a trained net."""

    name: Literal["distill"]
    teacher: Path = Field(description="Run folder of the teacher.")

    def build(self, net: Any, losses: Any) -> Any:
        teacher = ftrun.open(self.teacher).net

        class Module(ftrun.ObjectiveModule):
            unsaved = ("teacher",)

            def __init__(self) -> None:
                super().__init__()
                self.losses, self.teacher = losses, teacher.requires_grad_(False).eval()

            def forward(self, net: Any, batch: Any, at: Any) -> Any:
                terms = self.losses(net, batch, at)
                taught = self.teacher(batch.inputs)
                apart = (terms.outputs["label"].float() - taught["label"].float()).square().mean()
                return ftrun.Terms(terms.loss + apart, terms.outputs, {"apart": apart})

        return Module()


class TwoViews(ftrun.Objective):
    """Embeddings of two views are brought together (SimSiam, without labels)."""

    name: Literal["two-views"]
    uses_losses = False

    def build(self, net: Any, losses: Any) -> Any:
        import torch
        from torch import nn

        assert losses is None

        class Module(ftrun.ObjectiveModule):
            views = 2

            def __init__(self) -> None:
                super().__init__()
                self.predictor = nn.Linear(net.num_features, net.num_features)
                self.seen: list[Any] = []

            def forward(self, net: Any, batch: Any, at: Any) -> Any:
                self.seen.append([view.clone() for view in batch.views])
                one, two = (net.pool(net.features(view)).float() for view in batch.views)
                pairs = ((one, two), (two, one))
                alike = [torch.cosine_similarity(self.predictor(a), b.detach()).mean() for a, b in pairs]
                return ftrun.Terms(-sum(alike) / 2, parts={"spread": one.std(0).mean()})

        return Module()


class Compared(ftrun.Loss):
    """Cross-entropy, as if it compared samples, and looked at inputs."""

    name: Literal["compared"]

    def build(self, target: Any, values: Any) -> Any:
        from torch import nn

        class Module(nn.CrossEntropyLoss):
            whole_batch = True

            def forward(self, output: Any, values: Any, *, inputs: Any) -> Any:
                return super().forward(output, values)

        return Module()


class Halved(ftrun.Objective):
    """Half the losses."""

    name: Literal["halved"]

    def build(self, net: Any, losses: Any) -> Any:
        class Module(ftrun.ObjectiveModule):
            takes_embeddings = True

            def __init__(self) -> None:
                super().__init__()
                self.losses = losses

            def forward(self, net: Any, batch: Any, at: Any) -> Any:
                terms = self.losses(net, batch, at)
                return ftrun.Terms(terms.loss / 2, terms.outputs)

        return Module()


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Compared]


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [Stateful, Distill, TwoViews, Halved]
