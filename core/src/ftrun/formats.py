"""Which exporter `ftrun export` is to use, and with which options: told before anything heavy loads."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftrun.contracts.errors import PluginError, SpecError, did_you_mean
from ftrun.contracts.specs import Exporter, Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.check import option_message
from ftrun.spec.specfile import json_or_text, parse_set, set_value

# Our own plugins, by the formats that they bring: which one to install is worth saying.
_BROUGHT_BY = {"onnx": "ftrun-onnx", "torch-export": "ftrun-export", "safetensors": "ftrun-export"}


def exporter(catalogue: Catalogue, name: str | None, assignments: Sequence[str], out: Path | None) -> Exporter:
    """The exporter called `name` or, if none is named, the one whose files end as `out` does; with its options.

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
    """The formats that have 8-bit integers, in a sentence."""
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
    names = catalogue.parts(Exporter.role)
    if names:
        return f"Installed: {', '.join(names)}."
    return 'No exporter is installed: pip install "ftrun[all]" brings ftrun\'s own.'


def with_options(part: type[Part], name: str, assignments: Sequence[str], *, example: str = "opset=20") -> Part:
    """The part with these options; `--set comment=5` is the text "5" where text is wanted."""
    values: dict[str, Any] = {"name": name}
    texts: dict[str, str] = {}
    for assignment in assignments:
        path, raw = parse_set(assignment, example=example)
        set_value(values, path, json_or_text(raw), where=assignment)
        if len(path) == 1:
            texts[path[0]] = raw
    try:
        return part.model_validate_json(json.dumps(values))
    except ValidationError as error:
        wrong = {each["loc"][0] for each in error.errors() if each["type"] in ("string_type", "path_type")}
        as_text = {key: raw for key, raw in texts.items() if key in wrong}
        if not as_text:
            raise _mistakes(error, name, part) from None
    try:
        return part.model_validate_json(json.dumps({**values, **as_text}))
    except ValidationError as error:
        raise _mistakes(error, name, part) from None


def _mistakes(error: ValidationError, name: str, part: type[Part]) -> SpecError:
    options = [option for option in part.model_fields if option != "name"]
    lines = dict.fromkeys(
        f"--set {'.'.join(map(str, each['loc'])) or name}: {option_message(each, name, options)}"
        for each in error.errors()
    )
    return SpecError("\n".join(lines))
