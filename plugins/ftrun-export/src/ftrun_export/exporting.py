"""`ftrun export`: a run's best epoch as a file of another format, compared with the run before it gets its name.

files   where it goes, and how it gets there whole
about   its description: in the file, in the report, to people
script  the Python file next to it, which predicts without ftrun
parity  whether it gives what the run gives
quantized  what 8-bit integers cost and bring
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, DataError, Exporter, FtrunError, Run, tree_map
from ftrun.commands import Catalogue, Opened, Samples, build, error_console, to_json, writing
from ftrun_export import about, files, parity, quantized, script
from ftrun_export.exportable import Exportable
from ftrun_export.kinds import answers_of, named


@dataclass(frozen=True)
class Request:
    """What is asked for.

    part: the exporter; out: the file, one in the run folder if not given
    raw: whether to export the bare net; int8: whether in 8-bit integers
    bound: largest difference of a score that is allowed; max_drop: largest loss of accuracy through 8-bit integers
    samples: validation samples to compare on, at most
    dataset: other data to compare on, as in a spec or its JSON; device: where the run's own net computes
    other_data: whether the run's own data is compared on although its content is not what it was
    """

    part: Exporter
    out: Path | None = None
    raw: bool = False
    int8: bool = False
    bound: float = 1e-4
    max_drop: float = 0.02
    samples: int = 1000
    dataset: str | None = None
    device: str | None = None
    other_data: bool = False


def export(run: Run, request: Request, catalogue: Catalogue | None = None) -> dict[str, Any]:
    """Write the file and its report, and return what the report holds.

    catalogue: where the run's parts come from; what is installed, and the run's own, if not given

    Raises FtrunError where the file does not say what the run says, and then leaves none; SpecError where a file would
    be overwritten; DataError where the data to compare on is not there.
    """
    messages = error_console()
    if not run.targets:
        raise FtrunError(f"{run.folder}: predicts nothing: its data has no targets. There is nothing to export.")
    writer = build(request.part, "--format")
    file = files.place(run.folder, request.part.suffix, request.out, raw=request.raw, int8=request.int8)
    keys = [] if request.dataset else ["dataset"]
    opened = run.open(request.device or "cpu", catalogue=catalogue, keys=keys)
    for difference in opened.not_as_it_was():
        messages.say(f"not as it was: {difference}")
    state = run.status.get("state")
    if state != "finished":
        messages.say(f"this run is {state}: what is exported is its best epoch so far, {opened.best['epoch']}")
    if opened.spec.evaluation.flips:
        messages.say(
            "this run's metrics are over each image and its mirror image: what is exported sees the image alone"
        )
    opened.net.to(memory_format=torch.contiguous_format)
    model = _exportable(opened, request)
    samples = Samples.of(opened, request.dataset, messages.say, other_data=request.other_data)
    with files.workplace(file) as place:
        made = _Making(request, opened, writer, model, samples, messages).make(place / file.name)
        files.keep(opened.net.input, place / file.name)
        if code := script.text(model, writer, file.name):
            (place / f"{file.name}.py").write_text(code, encoding="utf-8")
        answer = {
            "file": str(file),
            **about.description(opened, request.part, model),
            "files": files.described(place),
            **made,
        }
        with writing(file):
            (place / files.report_of(file).name).write_text(to_json(answer) + "\n", encoding="utf-8")
        files.move(place, file)
    return answer


def _exportable(run: Opened, request: Request) -> Exportable:
    net = run.net.folded()
    on_cpu = net if run.device.type == "cpu" else copy.deepcopy(net).cpu()
    code = run.spec.backbone.library_code(net)
    return Exportable(on_cpu.eval(), request.raw, about.metadata(run, raw=request.raw), code)


@dataclass(frozen=True)
class _Making:
    """Makes a file, and compares it."""

    request: Request
    run: Opened
    writer: Any
    model: Exportable
    samples: Samples
    messages: Any

    def make(self, file: Path) -> dict[str, Any]:
        """Write the file, compare it with the run, and give what the report says of that."""
        first = file
        if self.request.int8:  # the file in fp32 comes first, and does not stay
            first = file.parent / "fp32" / file.name
            first.parent.mkdir()
        with writing(file):
            details = self.writer.write(self.model, first) or {}
        opened = self.writer.open(self.model, first)
        made = {"details": dict(details), "parity": self._parity(opened), "int8": None}
        if self.request.int8:
            made["int8"] = self._int8(first, file, opened)
            files.remove(first.parent)
        return made

    def _parity(self, opened: quantized.Model) -> dict[str, Any]:
        """Return how the file and the run compare. Raises FtrunError where they differ by more than the bound."""
        compared = parity.Parity(self.request.bound, self.run.net.targets)
        split = self.samples.split
        with self.messages.progress("compare", self.samples.count(split, self.request.samples)) as bar:
            for batch in parity.in_sizes(self._compared()):
                compared.add(batch.ids, self._expected(batch), self._scores(self._answers(opened, batch)))
                bar.advance(len(batch))
        if not compared.agreements:
            raise DataError(f"no sample of {split} can be read, and so nothing compared.")
        if not compared.holds:
            raise FtrunError(
                f"what was exported does not say what the run says, so it is not kept.{self._misses(compared)}"
                "\nA larger difference is allowed with --bound."
            )
        return {"dataset": self.samples.dataset, "split": split} | compared.as_json()

    def _misses(self, compared: parity.Parity) -> str:
        lines = []
        for name, target in compared.agreements.items():
            same = "" if target.same is None else f"; the same answer on {target.same} of {target.samples} samples"
            lines.append(
                f"\n  {name}: up to {target.largest:.2g} apart (sample {target.worst} of {self.samples.split}), where "
                f"{compared.bound:g} is allowed{same}"
            )
        return "".join(lines)

    def _answers(self, opened: quantized.Model, batch: Batch) -> parity.Outputs:
        """Return what the file gives for a batch. Raises FtrunError where it fails on it."""
        try:
            return opened(self._ready(batch))
        except Exception as error:  # a runtime's own, for a file that does not take so many samples, say
            raise FtrunError(
                f"what was exported fails on {len(batch)} samples of {self.samples.split}, so it is not kept: "
                f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            ) from error

    @torch.no_grad()
    def _expected(self, batch: Batch) -> parity.Outputs:
        """Return the scores by the run's own net, in fp32."""
        net = self.run.net
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            outputs = net(self.run.ready(batch).inputs)
        return self._named({name: self._expected_of(name, output) for name, output in outputs.items()})

    def _expected_of(self, name: str, output: Any) -> Any:
        """Return the run's answer for a head's output; what of a bare net is no one tensor stays as it is."""
        output = tree_map(lambda each: each.float(), output)
        target = self.run.net.targets[name]
        if self.request.raw and not isinstance(output, Tensor):
            return output
        return answers_of(target).expected(target, output)

    def _named(self, answers: Mapping[str, Any]) -> parity.Outputs:
        """Return each output of a file by its name, on the CPU."""
        return {key: each.cpu() for name, answer in answers.items() for key, each in named(name, answer)}

    def _ready(self, batch: Batch) -> Any:
        """Return a batch as the file takes it."""
        return self.model.ready(batch.inputs)

    def _scores(self, answers: parity.Outputs) -> parity.Outputs:
        """Return what the file gives, as scores: bare nets are compared by their probabilities too."""
        if not self.request.raw:
            return answers
        return self._named(
            {
                name: self._expected_of(name, output) if name in self.run.net.targets else output
                for name, output in answers.items()
            }
        )

    def _int8(self, file: Path, into: Path, before: quantized.Model) -> dict[str, Any]:
        """Make of the file one in 8-bit integers. Raises FtrunError where that costs too much."""
        with writing(into):
            self.writer.quantize(self.model, file, into, self._calibration)
        after = self.writer.open(self.model, into)
        targets = quantized.measure(
            self._compared(),
            lambda batch: self._scores(before(self._ready(batch))),
            lambda batch: self._scores(after(self._ready(batch))),
            self.run.net.targets,
        )
        allowed = self.request.max_drop
        known = {name: target for name, target in targets.items() if not math.isnan(target["before"])}
        lost = {name: target for name, target in known.items() if not target["lost"] <= allowed}
        if lost:
            listed = "".join(
                f"\n  {name}: {target['figure']} {target['before']:.4f} in fp32, {target['after']:.4f} in int8"
                for name, target in lost.items()
            )
            raise FtrunError(
                f"in int8 it loses more than {allowed:g}, so it is not kept.{listed}\n"
                "--max-drop allows more; more samples to calibrate on may help, if the format has such an option."
            )
        made = {"before": file.parent, "after": into.parent}
        return {
            "max_drop": allowed,
            "targets": targets,
            "bytes": {when: files.size(place) for when, place in made.items()},
            "latency_ms": {
                str(count): quantized.latency(before, after, self.model.made_up(count))
                for count in sorted({1, self.run.spec.train.batch_size})
            },
        }

    def _compared(self) -> Iterator[Batch]:
        return self.samples.batches(self.samples.split, self.request.samples)

    def _calibration(self, count: int) -> Iterator[Any]:
        split = self.samples.split if self.samples.splits.train is None else "train"
        return (self._ready(batch) for batch in self.samples.batches(split, count))
