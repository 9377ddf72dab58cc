"""What `ftrun check-plugin` does."""

import json
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from ftrun import FtrunError, SpecError
from ftrun.devtools import json_or_text, load_plugins
from ftrun_devkit.subject import ContractError, Subject
from ftrun_devkit.suite import Check, checks_of, find_plugin


def check(
    name: str,
    assignments: Sequence[str],
    input_text: str | None,
    backbone: str,
    dataset: str | None,
    say: Callable[[str], None] | None,
) -> list[dict[str, Any]]:
    """Run every check of a plugin, and give {"part", "property", "passed", "message"} for each.

    assignments: PART.OPTION=VALUE; input_text: JSON; say: told of each check as it ends

    Raises PluginError where the plugin is missing or broken, SpecError where the command line is wrong.
    """
    installed = load_plugins()
    plugin = find_plugin(name, installed)
    checks = checks_of(
        plugin,
        options=_options(assignments),
        input=_object(input_text or "{}"),
        backbone=_part(backbone),
        dataset=dataset and _part(dataset),
        installed=installed,
    )
    _check_options(checks)
    with TemporaryDirectory(prefix="ftrun-check-plugin-") as scratch:
        return [_result(each, Path(scratch) / str(number), say) for number, each in enumerate(checks)]


def _check_options(checks: Sequence[Check]) -> None:
    """Raise SpecError for options that a part does not take: no fault of the plugin's."""
    subjects = {id(check.subject): check.subject for check in checks if isinstance(check.subject, Subject)}
    for subject in (each for each in subjects.values() if each.options):
        try:
            subject.make(Path())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (subject.name, *first["loc"])))
            raise SpecError(f"--set {where}: {first['msg']}.") from None


def _result(check: Check, place: Path, say: Callable[[str], None] | None) -> dict[str, Any]:
    place.mkdir()
    message = ""
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # what its runs say
            check.run(place)
    except ContractError as error:
        message = str(error)
        if error.__cause__ is not None and not isinstance(error.__cause__, FtrunError):
            message += "\n" + "".join(traceback.format_exception(error.__cause__)).rstrip()
    if say:
        say(f"FAIL  {check}\n{message}" if message else f"ok    {check}")
    return {
        "part": check.subject.name,
        "property": check.property.name,
        "passed": not message,
        "message": message,
    }


def _options(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        part, _, option = key.rpartition(".")
        if not (equals and part and option):
            raise SpecError(f"--set {assignment}: give it as PART.OPTION=VALUE, such as image-folder.path=photos.")
        options.setdefault(part, {})[option] = json_or_text(text)
    return options


def _object(text: str) -> dict[str, Any]:
    value = json_or_text(text)
    if not isinstance(value, dict):
        raise SpecError(f'--input {text}: give it as an object, such as {{"size": 64}}.')
    return value


def _part(text: str) -> Any:
    """A part's name, or an object as in a spec."""
    return json.loads(text) if text.lstrip().startswith("{") else text
