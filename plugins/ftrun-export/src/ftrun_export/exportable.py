"""What an exporter gets: a trained net as one module that needs nothing else, and all that is known of it."""

import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from ftrun import FtrunError, Net, suggestions
from ftrun_export.kinds import named


class Deployed(nn.Module):
    """Collated inputs -> {target: scores float32 [B, outputs]}: preparation, net and probabilities in one.

    A target of which there are several tensors has each by its own name, `target/name`.

    raw: the bare net instead: prepared inputs -> {target: output [B, outputs]}, values standardised
    """

    def __init__(self, net: Net, *, raw: bool = False) -> None:
        super().__init__()
        self.net = net
        self.raw = raw

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        prepared = inputs if self.raw else self.net.input.prepare(inputs)
        outputs = self.net(prepared)
        answers = {
            name: outputs[name] if self.raw else target.exported(outputs[name])
            for name, target in self.net.targets.items()
        }
        return {key: each for name, answer in answers.items() for key, each in named(name, answer)}


@dataclass(frozen=True)
class Exportable:
    """A trained net on its way out: on the CPU, in fp32, in evaluation mode.

    net: the run's net; what `input` says has been done to an image before it gets here, up to `collate`
    raw: whether the bare net is asked for: prepared inputs in, outputs as they are
    metadata: what goes into the file, by name: texts, some of them JSON
    library_code: Python that makes `net.model` without ftrun, if the backbone knows any (see `Backbone`)
    """

    net: Net
    raw: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    library_code: str | None = None

    @cached_property
    def module(self) -> nn.Module:
        """What is exported: `example` -> {target: scores [B, outputs]}; of the bare net, {target: output}."""
        return Deployed(self.net, raw=self.raw).eval()

    @cached_property
    def example(self) -> Tensor:
        """A batch of two made-up samples as `module` takes it: images uint8 [2, C, H, W]; prepared, for a bare net."""
        return self.made_up(3)[:2]  # of texts, longer than one token: torch.export takes a length of 1 for fixed

    def made_up(self, count: int) -> Tensor:
        """Return so many made-up samples, as `module` takes them; of texts, a batch is as long as its longest one."""
        return self.ready(self.net.input.collate(self.net.input.example(count)))

    def ready(self, collated: Tensor) -> Tensor:
        """Return what the input's `collate` gave, on the CPU, as `module` takes it.

        Where the net is exported at one size of what differs from batch to batch, it is filled up to the greatest.
        """
        for dim, (_, most) in self.net.input.dynamic_dims.items():
            if dim not in self.net.dynamic_dims:
                before_last = 2 * (collated.ndim - 1 - dim)  # torch counts from the last dimension on
                sides = [0] * before_last + [0, most - collated.shape[dim]]
                collated = functional.pad(collated, sides, value=self.net.input.filler)
        return self.net.input.prepare(collated) if self.raw else collated

    @property
    def free(self) -> dict[int, str]:
        """The dimensions of `example` that are of any size, with a name: the batch and, of texts, their length."""
        names = ["length"] if len(self.net.dynamic_dims) == 1 else [f"length_{dim}" for dim in self.net.dynamic_dims]
        return {0: "batch", **dict(zip(self.net.dynamic_dims, names, strict=True))}

    @property
    def input_name(self) -> str:
        """What to call the input: its kind (`image`), unless a target has that name."""
        kind = str(getattr(self.net.input, "kind", "input"))
        return f"{kind}_input" if kind in self.net.targets else kind

    @property
    def output_names(self) -> tuple[str, ...]:
        """The targets' names, in the order of the outputs; of several outputs of one, `target/name`."""
        return tuple(self.answer_shapes)

    @cached_property
    def answer_shapes(self) -> dict[str, list[int]]:
        """The shape of each output for one sample, by its name."""
        with torch.no_grad():
            return {name: list(answer.shape[1:]) for name, answer in self.module(self.example).items()}

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The module as torch.export has it, for any number of samples. Raises FtrunError where it is not taken."""
        sizes = {0: (1, None), **self.net.dynamic_dims}
        free = {dim: Dim(self.free[dim], min=least, max=most) for dim, (least, most) in sizes.items()}
        try:
            with torch.no_grad(), redirect_stderr(StringIO()), warnings.catch_warnings():
                # Where it gives up, it prints the whole graph: thousands of lines of a deep net.
                warnings.simplefilter("ignore")  # torch warns of its own nn.LSTM; the file is compared in any case
                return torch.export.export(self.module, (self.example,), dynamic_shapes=(free,))
        except Exception as error:  # whatever the net's code does under torch.export
            raise FtrunError(f"torch.export does not take this net: {suggestions(error)}") from error
