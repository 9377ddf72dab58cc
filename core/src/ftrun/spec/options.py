"""A part that the command line names, such as `--format NAME`, with options: `--set OPTION=VALUE`."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from ftrun.contracts.errors import PluginError, SpecError, did_you_mean
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.messages import option_message
from ftrun.spec.nested import part_context
from ftrun.spec.specfile import json_or_text, parse_set, set_value, validated


def named_part(
    role: str,
    name: str,
    catalogue: Catalogue,
    assignments: Sequence[str] = (),
    *,
    option: str,
    example: str = "option=value",
    brought_by: Mapping[str, str] | None = None,
) -> Any:
    """Return the part of a role that an option of the command line names, with its options.

    role: its name, such as Exporter.role; assignments: OPTION=VALUE, as `--set` has them
    option, example: the option, such as --format, and one assignment, for messages
    brought_by: by name, distributions to name in a message where they are not installed

    Raises SpecError, with every mistake, where there is no such part or option, or an option takes no such value;
    PluginError where the plugin is broken or clashes.
    """
    catalogue.check_clash(role, name)
    known, part = catalogue.parts(role), catalogue.part(role, name)
    if part is None:
        near = did_you_mean(name, known)
        message = f"{option}: no {role} named {name!r}.{near} Installed: {', '.join(known) or 'none'}."
        message += _to_install(catalogue, name, brought_by or {})
        # As with the parts of a spec: a name that resembles an installed one is a slip of the pen.
        raise PluginError(message + catalogue.not_here) if catalogue.not_here and not near else SpecError(message)
    return _with_options(part, name, assignments, example, catalogue)


def _to_install(catalogue: Catalogue, name: str, brought_by: Mapping[str, str]) -> str:
    """Return which distribution brings the part that this name is, or resembles, if it is not installed."""
    installed = {plugin.distribution for plugin in (*catalogue.plugins, *catalogue.left_out)}
    absent = {part: distribution for part, distribution in brought_by.items() if distribution not in installed}
    near = get_close_matches(name.lower(), absent, n=1)
    return f" For {near[0]}: pip install {absent[near[0]]}" if near else ""


def _with_options(part: type[Part], name: str, assignments: Sequence[str], example: str, catalogue: Catalogue) -> Part:
    values: dict[str, Any] = {"name": name}
    raw: dict[tuple[str, ...], str] = {}
    for assignment in assignments:
        path, text = parse_set(assignment, example=example)
        set_value(values, path, json_or_text(text), where=assignment)
        raw[tuple(path)] = text
    try:
        return validated(part, values, raw, lambda error: tuple(map(str, error["loc"])), part_context(catalogue))
    except ValidationError as error:
        raise _mistakes(error, name, part) from None


def _mistakes(error: ValidationError, name: str, part: type[Part]) -> SpecError:
    options = [option for option in part.model_fields if option != part.tag]
    lines = dict.fromkeys(
        f"--set {'.'.join(map(str, each['loc'])) or name}: {option_message(each, name, options)}"
        for each in error.errors()
    )
    return SpecError("\n".join(lines))
