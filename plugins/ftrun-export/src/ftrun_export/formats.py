"""Which exporter `ftrun export` is to use, and with which options: reported before anything heavy loads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ftrun import Exporter, SpecError
from ftrun.commands import Catalogue, named_part

_BROUGHT_BY = {"onnx": "ftrun-onnx"}
"""Other plugins of ftrun's own by the formats that they bring, for a message that says which one to install."""


def exporter(catalogue: Catalogue, name: str | None, assignments: Sequence[str], out: Path | None) -> Exporter:
    """Return the exporter called `name` or, if none is named, the one whose files end as `out` does; with its options.

    assignments: OPTION=VALUE, as `--set` has them

    Raises SpecError where there is no such format or option, PluginError where its plugin is broken or clashes.
    """
    name = name or _by_suffix(catalogue, out)
    part: Exporter = named_part(
        Exporter.role, name, catalogue, assignments, option="--format", example="opset=20", brought_by=_BROUGHT_BY
    )
    if out is not None and out.suffix != part.suffix:
        raise SpecError(f"--out {out}: files of the format {name!r} end in {part.suffix}.")
    return part


def that_quantize(catalogue: Catalogue) -> str:
    """Return the formats that have 8-bit integers, in a sentence."""
    names = [name for name, part in _formats(catalogue).items() if part.quantizes]
    return f"Formats that have: {', '.join(names)}." if names else "No format that is installed has."


def _by_suffix(catalogue: Catalogue, out: Path | None) -> str:
    formats = _formats(catalogue)
    fitting = [name for name, part in formats.items() if out is not None and part.suffix == out.suffix]
    if len(fitting) == 1:
        return fitting[0]
    who = f"{len(fitting)} formats have" if fitting else "no format has"
    why = f"is required: {who} files that end in {out.suffix}" if out else "is required"
    raise SpecError(f"--format: {why}. Installed: {', '.join(formats)}.")


def _formats(catalogue: Catalogue) -> Mapping[str, type[Exporter]]:
    return catalogue.parts(Exporter.role)  # type: ignore[return-value]  # the hook offers nothing else
