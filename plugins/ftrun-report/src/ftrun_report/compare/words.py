"""What a comparison says in words, for the terminal and the page alike."""

from collections.abc import Mapping
from typing import Any

from ftrun.commands import is_figure, shown, shown_bytes
from ftrun_report.compare.verdict import shown_p, signed

COLUMNS = ("backbone", "input", "parameters", "size", "time", "epochs")
NOTE = (
    "Intervals: 95 %, bootstrap of 2,000 resamples of the samples. They tell what other samples would change, not what "
    "another seed would: runs that differ in their seed alone show that."
)


def sentences(comparison: Mapping[str, Any], baseline: str) -> list[str]:
    """Return how a run does against the first one: a sentence for each target."""
    run = comparison["run"]
    if not comparison["paired"]:
        return [f"{run} against {baseline}: cannot tell, because {comparison['reason']}."]
    return [_sentence(run, baseline, key, each) for key, each in comparison["metrics"].items() if each["main"]]


def _sentence(run: str, baseline: str, key: str, each: Mapping[str, Any]) -> str:
    if each["verdict"] == "cannot tell":
        return f"Cannot tell whether {run} is better or worse than {baseline} in {key}: {each['reason']}."
    both, p = f"{shown(each['second'])} against {shown(each['first'])}", shown_p(each["p_adjusted"])
    return f"{run} is {each['verdict']} than {baseline} in {key}: {both}; {each['reason']}, p {p}."


def tested(each: Mapping[str, Any]) -> str:
    """Return `p 0.013, McNemar, exact: 3 and 12 samples that only one run has right`."""
    words = f"p {shown_p(each['p'])}, {each['test']}"
    if each["p_adjusted"] != each["p"]:
        words += f"; {shown_p(each['p_adjusted'])} by Holm"
    if "only_one_right" in each:
        words += "; right in one run alone: {} and {}".format(*each["only_one_right"])
    return words


def apart(each: Mapping[str, Any]) -> str:
    """Return `+0.0200 [-0.0010, +0.0410]`."""
    low, high = each["interval"]
    return f"{signed(each['difference'])} [{signed(low)}, {signed(high)}]"


def of_run(run: Mapping[str, Any]) -> list[str]:
    """Return a run's cells under COLUMNS."""
    sides = run["input_size"]
    shape = "x".join(map(str, sides)) if isinstance(sides, list) else "-"
    return [
        *(run["backbone"] or "-", shape, count(run["parameters"]), shown_bytes(run["bytes"]), duration(run["seconds"])),
        f"{_or_dash(run['best_epoch'])} of {_or_dash(run['epochs'])}",
    ]


def number(value: Any) -> str:
    """Return a number with four digits; a dash where there is none."""
    return shown(value) if is_figure(value) else "-"


def count(value: int | None) -> str:
    """Return `3.4 M`."""
    if value is None:
        return "-"
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return str(value)


def duration(seconds: float | None) -> str:
    """Return `12.3 s`, `4 min 5 s`, `2 h 10 min`."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def value(each: Any) -> str:
    """Return an option's value, as a spec has it."""
    import json

    return each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)
