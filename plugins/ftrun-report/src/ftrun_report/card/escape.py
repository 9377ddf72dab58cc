"""Texts from data, such as the names of classes, in YAML and in Markdown, where they are no markup."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"}  # ":" would make a link of http://
_LONGEST = 60


def yaml(value: Any, indent: str = "") -> str:
    """Return lines of block YAML for mappings and lists of these; their leaves are JSON, which YAML includes."""
    lines = []
    if isinstance(value, Mapping):
        for key, each in value.items():
            nested = isinstance(each, Mapping | list) and each
            inner = f"\n{yaml(each, indent + '  ')}" if nested else f" {_scalar(each)}"
            lines.append(f"{indent}{key}:{inner}")
    else:
        for each in value:
            nested = isinstance(each, Mapping | list) and each
            inner = yaml(each, indent + "  ").lstrip() if nested else _scalar(each)
            lines.append(f"{indent}- {inner}")
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    """Return JSON, with YAML's escapes for what YAML does not take as it is (control characters, line separators)."""
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    text = json.dumps(_without_surrogates(value), ensure_ascii=False)
    if isinstance(value, float) and "." not in text:
        text = text.replace("e", ".0e")  # YAML 1.1 takes 1e-07 for a text
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def _without_surrogates(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def markdown(value: Any, longest: int = _LONGEST) -> str:
    """Return a text in one line of Markdown, in a table too: nothing in it is markup, a link, or turns the text around.

    longest: characters after which it is cut
    """
    text = str(value).encode("utf-8", "replace").decode()
    text = " ".join("".join(each if _shown(each) else " " for each in text).split())
    text = text if len(text) <= longest else f"{text[: longest - 3]}..."
    return _PUNCTUATION.sub(r"\\\1", "".join(_ENTITIES.get(each, each) for each in text)) or "(no name)"


def _shown(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def code(value: Any) -> str:
    """Return a value of a spec as JSON in a code span, which is as long as it has to be for the backticks in it."""
    text = _scalar(value) if not isinstance(value, Mapping | Sequence) or isinstance(value, str) else _json(value)
    ticks = "`" * (max((len(each) for each in re.findall("`+", text)), default=0) + 1)
    return f"{ticks} {text} {ticks}" if "`" in text else f"`{text}`"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 400 else f"{text[:397]}..."
