"""Figures, as a metric gives them, for JSON and for people. Loads nothing heavy."""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard


def is_figure(value: Any) -> TypeGuard[int | float]:
    """Return whether it is one number: a fraction, a count, NaN or infinite; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Return `0.1234` for a float and `12` for a count; `nan` for what is undefined, which is null in JSON.

    What four decimals would show as 0, or as a row of made-up digits, is `1.23e-12`.
    """
    if value is None:
        return "nan"
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e12 else f"{value:.3g}"


def shown_bytes(count: int) -> str:
    """Return a number of bytes for people: `1.2 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def line_of(figures: Mapping[str, Any]) -> str:
    """Return `val/loss 0.1234  val/accuracy 0.9876`, of the figures that are one number or undefined."""
    return "  ".join(f"{name} {shown(value)}" for name, value in figures.items() if value is None or is_figure(value))


def finite(value: Any) -> Any:
    """Return the same with null for what JSON has no number for: NaN and the infinities."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any, indent: int | None = 2, *, ascii_only: bool = False) -> str:
    """Return `value` as a JSON text that every reader takes: with null for NaN."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)
