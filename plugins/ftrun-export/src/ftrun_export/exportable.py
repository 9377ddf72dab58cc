"""What an exporter gets: a trained net as one module that needs nothing else, and all that is known of it."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ftrun import DynamicDim, FtrunError, Net, TensorLayout, suggestions
from ftrun.commands import filled_to_most
from ftrun_export.kinds import named

_BATCH = DynamicDim("batch", 1, 0)  # of any number of samples


class Deployed(nn.Module):
    """Collated inputs, a tensor or {name: tensor} -> {target: scores float32 [B, outputs]}: preparation, net and
    probabilities in one.

    A target of which there are several tensors has each by its own name, `target/name`.

    raw: the bare net instead: prepared inputs -> {target: output [B, outputs]}, values standardised
    """

    def __init__(self, net: Net, *, raw: bool = False) -> None:
        super().__init__()
        self.net = net
        self.raw = raw

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        prepared = inputs if self.raw else self.net.prepare(inputs)
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
    def example(self) -> Any:
        """A batch of two made-up samples as `module` takes it: images uint8 [2, C, H, W]; prepared, for a bare net."""
        # Of texts, longer than one token: torch.export takes a length of 1 for fixed.
        return _map(lambda tensor: tensor[:2], self.made_up(3))

    def made_up(self, count: int) -> Any:
        """Return so many made-up samples, as `module` takes them; of texts, a batch is as long as its longest one."""
        return self.ready(self.net.input.collate(self.net.input.example(count)))

    def ready(self, collated: Any) -> Any:
        """Return what the input's `collate` gave, on the CPU, as `module` takes it.

        Where the net is exported at one size of what differs from batch to batch, it is filled up to the greatest.
        """
        if self.net.static_dims and (layout := self.net.input.collated_layout):
            collated = filled_to_most(collated, layout, self.net.static_dims)
        return self.net.prepare(collated) if self.raw else collated

    @property
    def _sizes(self) -> dict[str, dict[int, DynamicDim]]:
        """Of each tensor of `example`, by name ("" for a lone one), the dimensions that are of any size."""
        layout = self.net.input.prepared_layout if self.raw else self.net.input.collated_layout
        names = self.example if isinstance(self.example, Mapping) else [""]
        layouts = {"": layout} if isinstance(layout, TensorLayout) else layout or {}
        dynamic = {name: each.dynamic for name, each in layouts.items()}
        static = self.net.static_dims
        return {
            name: {0: _BATCH} | {dim: size for dim, size in dynamic.get(name, {}).items() if size.name not in static}
            for name in names
        }

    @property
    def free(self) -> Any:
        """The dimensions of `example` that are of any size, with a name: the batch and, of texts, their length.

        {dimension: name}; where the net takes several tensors, such a dict for each, by its name
        """
        return self._like_example(dict(zip(self._sizes, self.free_of_each, strict=True)))

    @property
    def free_of_each(self) -> list[dict[int, str]]:
        """The same, as a list, of each input in the order of `input_names`."""
        return [{dim: size.name for dim, size in dims.items()} for dims in self._sizes.values()]

    @property
    def input_names(self) -> tuple[str, ...]:
        """What to call the inputs: the kind (`image`), or the names of several tensors; other than any target."""
        kind = str(getattr(self.net.input, "kind", "input"))
        names = [name or kind for name in self._sizes]
        return tuple(f"{name}_input" if name in self.net.targets else name for name in names)

    def by_name(self, inputs: Any) -> dict[str, Tensor]:
        """Return a batch as `module` takes it by the names of `input_names`."""
        tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        return dict(zip(self.input_names, tensors, strict=True))

    def _like_example(self, by_name: Mapping[str, Any]) -> Any:
        return dict(by_name) if isinstance(self.example, Mapping) else by_name[""]

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
        sizes = {size.name: size for dims in self._sizes.values() for size in dims.values()}
        free = {name: Dim(name, min=size.least, max=size.most or None) for name, size in sizes.items()}
        shapes = {name: {dim: free[size.name] for dim, size in dims.items()} for name, dims in self._sizes.items()}
        shapes = self._like_example(shapes)
        try:
            try:
                return self._exported(shapes)
            except Exception:
                if len(free) == 1:
                    raise
                # It demands what it cannot prove for all sizes, such as that two frames are more than one.
                return self._exported(shapes, deferred=True)
        except Exception as error:  # whatever the net's code does under torch.export
            raise FtrunError(f"torch.export does not take this net: {suggestions(error)}") from error

    def _exported(self, shapes: Any, *, deferred: bool = False) -> torch.export.ExportedProgram:
        with torch.no_grad(), redirect_stderr(StringIO()), warnings.catch_warnings():
            # Where it gives up, it prints the whole graph: thousands of lines of a deep net.
            warnings.simplefilter("ignore")  # torch warns of its own nn.LSTM; the file is compared in any case
            return torch.export.export(
                self.module,
                (self.example,),
                dynamic_shapes=(shapes,),
                prefer_deferred_runtime_asserts_over_guards=deferred,
            )


def _map(function: Callable[[Tensor], Tensor], inputs: Any) -> Any:
    return {name: function(each) for name, each in inputs.items()} if isinstance(inputs, Mapping) else function(inputs)
