"""Which exporter `ftrun export` is to use, and with which options: told before anything heavy loads."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ftrun import Exporter, PluginError, SpecError, did_you_mean
from ftrun.commands import Catalogue, with_options

_BROUGHT_BY = {"onnx": "ftrun-onnx"}
"""Plugins of ftrun's own beside this one, by the formats that they bring: which one to install is worth saying."""


def exporter(catalogue: Catalogue, name: str | None, assignments: Sequence[str], out: Path | None) -> Exporter:
    """Return the exporter called `name` or, if none is named, the one whose files end as `out` does; with its options.

    assignments: OPTION=VALUE, as `--set` has them

    Raises SpecError where there is no such format or option, PluginError where its plugin is broken or clashes.
    """
    name = name or _by_suffix(catalogue, out)
    catalogue.check_clash(Exporter.role, name)
    known = catalogue.parts(Exporter.role)
    if name not in known:
        raise _unknown(catalogue, name)
    part = with_options(known[name], name, assignments)
    assert isinstance(part, Exporter)  # for the type checker: the hook offers nothing else
    if out is not None and out.suffix != part.suffix:
        raise SpecError(f"--out {out}: files of the format {name!r} end in {part.suffix}.")
    return part


def that_quantize(catalogue: Catalogue) -> str:
    """Return the formats that have 8-bit integers, in a sentence."""
    parts: Mapping[str, type[Any]] = catalogue.parts(Exporter.role)
    names = [name for name, part in parts.items() if part.quantizes]
    return f"Formats that have: {', '.join(names)}." if names else "No format that is installed has."


def _by_suffix(catalogue: Catalogue, out: Path | None) -> str:
    parts: Mapping[str, type[Any]] = catalogue.parts(Exporter.role)
    fitting = [name for name, part in parts.items() if out is not None and part.suffix == out.suffix]
    if len(fitting) == 1:
        return fitting[0]
    who = f"{len(fitting)} formats have" if fitting else "no format has"
    why = f"is required: {who} files that end in {out.suffix}" if out else "is required"
    raise SpecError(f"--format: {why}. {_installed(catalogue)}")


def _unknown(catalogue: Catalogue, name: str) -> SpecError | PluginError:
    known = catalogue.parts(Exporter.role)
    near = did_you_mean(name, known)
    message = f"--format: no exporter named {name!r}.{near} {_installed(catalogue)}{_to_install(catalogue, name)}"
    # As with the parts of a spec: a name that resembles an installed one is a slip of the pen.
    if catalogue.not_here and not near:
        return PluginError(message + catalogue.not_here)
    return SpecError(message)


def _to_install(catalogue: Catalogue, name: str) -> str:
    """Which of our own plugins brings the format that this name is, or resembles, if it is not here."""
    here = {plugin.distribution for plugin in (*catalogue.plugins, *catalogue.left_out)}
    absent = {form: distribution for form, distribution in _BROUGHT_BY.items() if distribution not in here}
    near = get_close_matches(name.lower(), absent, n=1)
    return f" For {near[0]}: pip install {absent[near[0]]}" if near else ""


def _installed(catalogue: Catalogue) -> str:
    return f"Installed: {', '.join(catalogue.parts(Exporter.role)) or 'none'}."
