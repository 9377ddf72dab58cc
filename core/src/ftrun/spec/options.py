"""A part with options from the command line: `--set OPTION=VALUE`."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ftrun.contracts.errors import SpecError
from ftrun.contracts.specs import Part
from ftrun.spec.check import option_message
from ftrun.spec.specfile import json_or_text, parse_set, set_value


def with_options(part: type[Part], name: str, assignments: Sequence[str], *, example: str = "opset=20") -> Part:
    """Return the part with these options; `--set comment=5` is the text "5" where text is wanted.

    name: the part's; assignments: OPTION=VALUE, as `--set` has them; example: one, for messages

    Raises SpecError, with every mistake, where there is no such option or it takes no such value.
    """
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
