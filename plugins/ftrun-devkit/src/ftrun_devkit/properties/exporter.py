"""What holds for exporters."""

import copy
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ftrun
from ftrun import Exporter, FtrunError
from ftrun_devkit.kinds import target_of
from ftrun_devkit.run import tiny_run
from ftrun_devkit.subject import Subject, close, digest, expect, fail
from ftrun_devkit.suite import holds_for
from ftrun_export import Exportable, Request, export

_BOUND = 1e-4
_WIDE = {"name": "tiny-net", "width": 512}
"""A net whose weights are most of its file."""


@holds_for("exporter")
def suffix_is_plain(subject: Subject, place: Path) -> None:
    """It says how its files end: `suffix` is a dot and lower-case letters, digits, '_' or '-'."""
    suffix = getattr(subject.part, "suffix", None)
    expect(
        isinstance(suffix, str) and re.fullmatch(r"\.[a-z0-9_-]+", suffix) is not None,
        f"its suffix is {suffix!r}.",
        'Give the class one: `suffix = ".onnx"`.',
    )


@holds_for("exporter")
def writes_where_told(subject: Subject, place: Path) -> None:
    """`write` makes the file that it is told and, if it makes more, files beside it whose names begin as that does."""
    file, written = _file(subject, place), _written(subject, place)
    made = sorted({Path(name).parts[0] for name in written.files})
    strange = [name for name in made if not name.startswith(file.stem)]
    found = f"there is no {file.name} afterwards, but {', '.join(made) or 'nothing'}."
    expect(file.name in written.files, found, "Write `file`.")
    expect(
        not strange and not written.elsewhere,
        f"it also wrote {', '.join(strange) or 'elsewhere'}.",
        "Write into the folder of `file` alone, under names that begin with `file.stem`.",
    )


@holds_for("exporter")
def same_answers(subject: Subject, place: Path) -> None:
    """What `open` gives says of inputs what the net says: {target: scores float32}."""
    model = _written(subject, place).model
    _expect_same(_opened(subject, place), model, 2)


@holds_for("exporter")
def any_batch(subject: Subject, place: Path) -> None:
    """The file takes one sample as well as many."""
    model = _written(subject, place).model
    run = _opened(subject, place)
    for count in (1, 3, 8):
        try:
            _expect_same(run, model, count)
        except Exception as error:
            fail(
                f"with a batch of {count}: {str(error).strip().partition(chr(10))[0]}",
                "Let the number of samples be free: `model.program` is a torch.export program in which it is.",
            )


@holds_for("exporter")
def bare_net(subject: Subject, place: Path) -> None:
    """Of a bare net (`--raw`), it takes prepared inputs and gives outputs as they are."""
    model = _model(subject, raw=True)
    _expect_same(_anew(subject, place, model), model, 2)


@holds_for("exporter")
def several_targets(subject: Subject, place: Path) -> None:
    """A net with two targets gives an output for each, by the target's name, whatever that is."""
    model = _model(subject, {"relu": target_of("labels"), "two words": target_of("values")})
    _expect_same(_anew(subject, place, model), model, 2)


@holds_for("exporter")
def file_is_enough(subject: Subject, place: Path) -> None:
    """All that is computed with comes from the file and what is beside it, wherever that is copied to."""
    x, expected = _inputs(_written(subject, place).model, 3)
    other = _model(subject, seed=1)  # the same net with other weights
    with torch.no_grad():
        given = _opened(subject, place, other)(x)
    expect(
        _close(given, expected),
        "opened where the net has other weights, the file says something else than what was written.",
        "Let `open` read the weights from the file, and compute with nothing of `model`'s.",
    )


@holds_for("exporter")
def leaves_the_net(subject: Subject, place: Path) -> None:
    """The net stays as it is: it is compared with the file afterwards."""
    written = _written(subject, place)
    _opened(subject, place)(_inputs(written.model, 2)[0])
    expect(
        _state(written.model) == written.state,
        "the net is another one afterwards: its weights, or whether it trains.",
        "Work on a copy: `copy.deepcopy(model.module)`.",
    )


@holds_for("exporter")
def eight_bits(subject: Subject, place: Path) -> None:
    """If it `quantizes`, the file in 8-bit integers is smaller, says nearly the same, and the first one stays."""
    if not _part(subject).quantizes:
        return
    model = _model(subject, backbone=_WIDE)
    file = _file(subject, place)
    writer = subject.make(place).build()
    writer.write(model, file)
    kept, into = file.read_bytes(), file.with_name(f"int8{file.suffix}")
    writer.quantize(model, file, into, lambda count: _batches(model, count))
    x, expected = _inputs(model, 8)
    given = writer.open(model, into)(x)
    mend = "Let `quantize(model, file, into, samples)` write `into`, with ranges from `samples(count)`."
    expect(file.read_bytes() == kept, "the file that it was given has changed.", mend)
    expect(
        into.stat().st_size < 0.7 * len(kept), f"{into.stat().st_size} bytes, and {len(kept)} in 32-bit floats.", mend
    )
    expect(_close(given, expected, 0.1), "what it says has little to do with what the net says.", mend)


@holds_for("exporter")
def exports_a_run(subject: Subject, place: Path) -> None:
    """`ftrun export` takes it: the file is compared with the run, and its report is written."""
    run = tiny_run(place, backbone=subject.backbone, plugins=subject.catalogue.plugins)
    out = place / f"net{_part(subject).suffix}"
    try:
        export(ftrun.open(run.folder), Request(subject.make(place), out), subject.catalogue)
    except FtrunError as error:
        fail(f"{error}", "Let `write` give a dict of JSON values or None, and `open` what the net says.")
    report = json.loads(out.with_name(f"{out.name}.report.json").read_text())
    expect(out.name in report["files"], "the report does not list the file.", "Write `file`.")


def _part(subject: Subject) -> type[Exporter]:
    assert issubclass(subject.part, Exporter)
    return subject.part


def _model(
    subject: Subject, targets: Any = None, *, raw: bool = False, seed: int = 0, backbone: Any = None
) -> Exportable:
    """A net with random weights of `seed`, on its way out."""
    torch.manual_seed(seed)
    spec = subject.checked({"backbone": backbone or subject.backbone})
    net = spec.backbone.build(subject.input)
    net.set_targets(targets or {"label": target_of("classes")})
    net.eval().requires_grad_(False)
    return Exportable(net, raw, {"input": net.input.model_dump_json()}, spec.backbone.library_code(net))


def _file(subject: Subject, place: Path) -> Path:
    (place / "made").mkdir(parents=True, exist_ok=True)
    return place / "made" / f"some-net{_part(subject).suffix}"


@dataclass(frozen=True)
class _Written:
    """A net that the exporter has written.

    state: the net's, before; elsewhere: whether it wrote outside of the file's folder
    files: {path in that folder: content}, from where they are put into a property's own place; the folder is gone
    """

    model: Exportable
    state: tuple[dict[str, str], bool]
    files: dict[str, bytes]
    elsewhere: bool


_LAST: dict[str, Any] = {}
"""The subject that has written last, and what: exporting takes longer than all that is asked of a file."""


def _written(subject: Subject, place: Path) -> _Written:
    if _LAST.get("subject") is not subject:
        _LAST.update(subject=subject, written=_write(subject, place))
    written: _Written = _LAST["written"]
    return written


def _write(subject: Subject, place: Path) -> _Written:
    model, file = _model(subject), _file(subject, place)
    state = _state(model)
    subject.make(place).build().write(model, file)
    elsewhere = [each.name for each in place.iterdir()] != [file.parent.name]
    made = [each for each in file.parent.rglob("*") if each.is_file()]
    files = {each.relative_to(file.parent).as_posix(): each.read_bytes() for each in made}
    shutil.rmtree(file.parent)
    return _Written(model, state, files, elsewhere)


def _opened(subject: Subject, place: Path, model: Exportable | None = None) -> Any:
    """Open what was written in another place, where the net is `model`, or the one that was written."""
    written = _written(subject, place)
    file = _file(subject, place / "elsewhere")
    for name, content in written.files.items():
        (file.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (file.parent / name).write_bytes(content)
    return subject.make(place).build().open(model or written.model, file)


def _anew(subject: Subject, place: Path, model: Exportable) -> Any:
    """Write a net and open it."""
    file = _file(subject, place)
    writer = subject.make(place).build()
    writer.write(model, file)
    return writer.open(model, file)


def _inputs(model: Exportable, count: int) -> tuple[Any, dict[str, Tensor]]:
    """A batch as the module takes it, and what it says of it."""
    x = model.made_up(count)
    with torch.no_grad():
        return x, copy.deepcopy(model.module)(x)


def _batches(model: Exportable, count: int) -> Iterator[Tensor]:
    x, _ = _inputs(model, count)
    yield from torch.split(x, 8)


def _expect_same(run: Any, model: Exportable, count: int) -> None:
    x, expected = _inputs(model, count)
    given = run(x)
    names = sorted(given) if isinstance(given, dict) else type(given).__name__
    expect(
        names == sorted(expected),
        f"it gives {names}, where {sorted(expected)} are the targets.",
        "Let what `open` gives return {target: tensor}.",
    )
    shapes = {name: list(value.shape) for name, value in given.items()}
    expect(
        _close(given, expected),
        f"for {count} samples it gives other numbers than the net, of shapes {shapes}.",
        "Write `model.module`, or `model.program`, as it is: in fp32, with what comes before and after the net.",
    )


def _close(given: Any, expected: dict[str, Tensor], bound: float = _BOUND) -> bool:
    return close({name: value.float() for name, value in given.items()}, expected, bound)


def _state(model: Exportable) -> tuple[dict[str, str], bool]:
    weights = {name: digest(value) for name, value in model.net.model.state_dict().items()}
    return weights, model.net.training or model.net.model.training
