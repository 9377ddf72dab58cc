"""Why a text is no JSON, in the words of somebody who writes specs by hand."""

import json
import re

_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2032\u2033\u00b4`"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONGEST = 100  # characters of a number
_WORDS = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}
_WORDS |= {word.lower(): json_word for word, json_word in _WORDS.items()} | {"yes": "true", "no": "false"}
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_YAML_LINE = re.compile(r"^[\w$-]+:(\s|$)|^- |^---\s*$")
_TOML_LINE = re.compile(r"^\[[\w.]+\]\s*$|^[\w.]+\s*=\s*\S")
_FROM_YAML = "python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, indent=2)'"


def explain(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Return the position in `text` of the mistake behind json's own `error`, and what to do about it."""
    if other := _other_format(text):
        return 0, other
    position = error.pos
    rest, before = text[position:], text[:position].rstrip()
    if (rest and rest[0] in "}]" and before.endswith(",")) or error.msg.startswith("Illegal trailing comma"):
        comma = len(before) - 1 if before.endswith(",") else position
        return comma, "a comma stands before a closing bracket; take it out"
    if rest[:1] in ("/", "#") and (rest[0] == "#" or rest[1:2] in ("/", "*")):
        return position, "JSON has no comments; take this one out"
    if conflict := _CONFLICT.match(text, position):
        return position, f"{conflict[1]} is what a merge left here; settle it"
    if error.msg.startswith("Invalid control character"):
        name = {"\t": "a tab, which is written \\t", "\n": "the end of a line, which is written \\n"}.get(rest[:1])
        start = text.rfind('"', 0, position)
        return position, f"the string that begins with {_excerpt(text[start:position])} holds " + (
            name or f"the control character {rest[:1]!a}, which is written \\u{ord(rest[0]):04x}"
        )
    if error.msg.startswith("Unterminated string"):
        return position, f"the string that begins with {_excerpt(rest.splitlines()[0])} has no closing quotation mark"
    if error.msg.startswith("Invalid \\"):
        return position, f'a string holds {_excerpt(rest[:2])}; a backslash is written "\\\\", or use / in a path'
    if rest[:1] and rest[0] in _QUOTES:
        return position, f'{rest[0]} is a typographic quotation mark; write "'
    if rest[:1] == "'":
        return position, "strings stand in double quotes; write \" for '"
    return position, _value_or_end(rest, before, error, text[max(position - 1, 0) : position].isdigit())


def _value_or_end(rest: str, before: str, error: json.JSONDecodeError, inside_number: bool) -> str:
    if not rest.strip():
        return "the file is empty" if not before else "the text ends too early: a closing bracket is missing"
    if word := re.match(r"[A-Za-z_][\w-]*", rest):
        if error.msg.startswith("Expecting property name"):
            return f'keys stand in double quotes: "{word[0]}"'
        if error.msg == "Expecting value":
            return f"{word[0]} is no value; write {_WORDS.get(word[0]) or json.dumps(word[0])}"
    if error.msg == "Expecting value" and rest[0] == ",":
        return "there is no value before this comma"
    if error.msg.startswith("Expecting"):
        sign = next((sign for sign in (",", ":") if f"'{sign}'" in error.msg), None)
        if sign == "," and inside_number and (rest[0] in ".xXeE_" or rest[0].isdigit()):
            return "a number is written such as 5, 0.5 or 1e-3"
        if sign:
            return f"a {'comma' if sign == ',' else 'colon'} is missing before {_excerpt(rest.splitlines()[0])}"
        if (start := _NUMBER.match(rest)) and number(start[0]) is not None:
            return f"{_excerpt(start[0])} is written {number(start[0])}"
        if error.msg.startswith("Expecting property name"):
            return f"a key is missing before {_excerpt(rest.splitlines()[0])}"
    if error.msg == "Extra data":
        return f"the object has ended, but {_excerpt(rest.splitlines()[0])} follows"
    return error.msg[:1].lower() + error.msg[1:]


def number(text: str) -> int | float | None:
    """Return the number that a text stands for as people write one: .5, +5, 5., 1e-3; None where it is none."""
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _other_format(text: str) -> str | None:
    """Return what to do where the whole text is in another format."""
    stripped = text.lstrip()
    lines = [line for line in stripped.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(_TOML_LINE.match(line) or line[:1] in ' ]}"' for line in lines):
        return "this is TOML; a spec is a JSON object, {...}"
    if stripped[:1] in ("{", "[", '"', "") or _CONFLICT.match(stripped):
        return None
    if lines and _YAML_LINE.match(lines[0]):
        return f"this is YAML; a spec is a JSON object, {{...}}. To convert it: {_FROM_YAML} < FILE > spec.json"
    if stripped.startswith("<"):
        return "this is a page or XML; a spec is a JSON object, {...}"
    return None


def _excerpt(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 40 else f"{text[:37]}..."
