"""Descriptions of an exported file: in the file itself, in its report, and for people."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from platform import python_version
from typing import Any

from ftrun import Exporter
from ftrun.commands import Opened
from ftrun_export.exportable import Exportable
from ftrun_export.files import report_of


def metadata(run: Opened, *, raw: bool) -> dict[str, str]:
    """Return what goes into the file, by name: texts, those of several things in JSON."""
    net, spec = run.net, run.spec.resolved()
    return {
        "takes": net.input.export_description(prepared=raw),
        "gives": "outputs as they are: logits, before the temperature of `targets`, and values standardised with their "
        "mean and std"
        if raw
        else "probabilities of classes and of labels; values as they are",
        "input": net.input.model_dump_json(),
        "targets": json.dumps({name: target.model_dump(mode="json") for name, target in net.targets.items()}),
        "backbone": json.dumps(spec["backbone"]),
        "modifiers": json.dumps(spec["modifiers"]),
        "run": run.folder.path.resolve().name,
        "epoch": str(run.best["epoch"]),
        "ftrun": version("ftrun"),
    }


def description(run: Opened, part: Exporter, model: Exportable) -> dict[str, Any]:
    """Return what the report holds of the file, before it is compared."""
    targets = run.net.targets
    return {
        "format": part.name,
        "options": part.model_dump(mode="json", exclude={"name"}),
        "raw": model.raw,
        "takes": {
            name: {
                "dtype": str(example.dtype).removeprefix("torch."),
                "shape": [free.get(place, length) for place, length in enumerate(example.shape)],
            }
            for (name, example), free in zip(model.by_name(model.example).items(), model.free_of_each, strict=True)
        },
        "gives": {name: ["batch", *shape] for name, shape in model.answer_shapes.items()},
        "input": run.net.input.model_dump(mode="json"),
        "targets": {name: target.model_dump(mode="json") for name, target in targets.items()},
        "run": str(run.folder.path),
        "epoch": run.best["epoch"],
        "versions": _versions(run.catalogue.owner(part.role, part.name).distribution),
    }


def _versions(distribution: str) -> dict[str, str]:
    """Return the versions of Python, ftrun, torch, the exporter's plugin, and what that requires."""
    names = ["ftrun", "torch", distribution]
    with suppress(PackageNotFoundError):  # local parts are no distribution
        names += [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in requires(distribution) or ()]
    versions = {"python": python_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def text(answer: dict[str, Any]) -> str:
    """Return the report in a few lines."""
    parity = answer["parity"]
    takes = ", ".join(f"{name}, {each['dtype']} {_shape(each['shape'])}" for name, each in answer["takes"].items())
    gives = ", ".join(f"{name} {_shape(shape)}" for name, shape in answer["gives"].items())
    size = sum(file["bytes"] for file in answer["files"].values())
    lines = [
        f"{answer['file']}: {answer['format']}, {_megabytes(size)}",
        f"takes {takes}; gives {gives}",
        *([", ".join(f"{name} {value}" for name, value in answer["details"].items())] if answer["details"] else []),
    ]
    for name, target in parity["targets"].items():
        same = "" if target["agreement"] is None else f", the same answer on {target['agreement']:.2%}"
        lines.append(
            f"{name}: {'in fp32 ' if answer['int8'] else ''}at most {target['max_difference']:.1e} from the run's own "
            f"net (bound {parity['bound']:.0e}){same} of {parity['samples']:,} {parity['split']} samples"
        )
    lines += _int8(answer["int8"]) if answer["int8"] else []
    return "\n".join([*lines, f"report: {report_of(Path(answer['file']))}"])


def _int8(int8: dict[str, Any]) -> Iterator[str]:
    for name, target in int8["targets"].items():
        yield f"{name}: {target['figure']} {target['before']:.4f} in fp32, {target['after']:.4f} in int8"
    size = {when: _megabytes(count) for when, count in int8["bytes"].items()}
    times = [f"{time['before']:.1f} -> {time['after']:.1f} ms a batch of {n}" for n, time in int8["latency_ms"].items()]
    yield f"int8: {size['before']} -> {size['after']}, {', '.join(times)}"


def _shape(shape: list[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
