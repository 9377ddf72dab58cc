"""A plugin for tests: a loss with every kind of state that a loss may have, and with randomness."""

from typing import Any, Literal

from pydantic import Field

import ftrun


class Stateful(ftrun.Loss):
    """Cross-entropy of outputs from which a running centre is taken; proxies, which are learnt, are kept small."""

    name: Literal["stateful"]
    kinds = ("classes", "labels", "values")
    proxies: int = Field(3, ge=1, description="Rows of the proxies.")
    lazy: bool = Field(False, description="Whether the centre is made by the first batch.")
    noise: float = Field(0.0, ge=0, description="Standard deviation of noise on the outputs, in evaluation too.")
    heedless: bool = Field(False, description="Whether the centre moves in evaluation mode too.")
    replaced: bool = Field(False, description="Whether the centre is another tensor after each step.")
    counts: bool = Field(False, description="Whether steps are counted in an int64 buffer, and in extra state.")
    tied: bool = Field(False, description="Whether the proxies have a second name.")

    def build(self, target: ftrun.Target, values: Any) -> Any:
        import torch
        from torch import nn

        part = self

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.proxies = nn.Parameter(torch.linspace(-1, 1, part.proxies * 4).reshape(-1, 4))
                if part.tied:
                    self.also = self.proxies
                self.register_buffer("centre", None if part.lazy else torch.zeros(target.outputs))
                if part.counts:
                    self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
                    self.calls = 0

            def get_extra_state(self) -> Any:
                return {"calls": self.calls} if part.counts else None

            def set_extra_state(self, state: Any) -> None:
                if part.counts:
                    self.calls = state["calls"]

            def forward(self, output: Any, values: Any) -> Any:
                if self.centre is None:
                    self.centre = torch.zeros(output.shape[1])
                if self.training or part.heedless:
                    moved = self.centre * 0.9 + output.detach().mean(0) * 0.1
                    self.centre = moved if part.replaced else self.centre.copy_(moved)
                    if part.counts:
                        self.steps += 1
                        self.calls += 1
                output = output - self.centre + part.noise * torch.randn_like(output)
                if part.counts:
                    output = output * (1 + 0.01 * self.steps) / (1 + 0.02 * self.calls)
                if target.kind == "classes":
                    loss = nn.functional.cross_entropy(output, values)
                else:
                    loss = nn.functional.mse_loss(output, values.float())
                return loss + 0.1 * self.proxies.square().mean()

        return Module()


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Stateful]
