"""What a run says when it has ended of phases that did harm."""

from collections.abc import Mapping, Sequence
from typing import Any

from ftrun.train.monitor import Monitor
from ftrun.train.phases import Plan

Epochs = Sequence[Mapping[str, Any]]


def worse_phases(plan: Plan, monitor: Monitor, history: Epochs) -> list[str]:
    """Return a line for each phase whose best epoch is worse than that of an earlier phase, with what to try.

    history: the lines of metrics.jsonl
    """
    lines: list[str] = []
    before: Mapping[str, Any] | None = None  # the best epoch of all phases so far
    for number in range(len(plan.ends)):
        best = _best(monitor, [line for line in history if plan.number(line["epoch"]) == number])
        if best is None:  # patience has ended the run
            break
        if before is None or monitor.is_better(_val(best), _val(before)):
            before = best
        elif monitor.is_better(_val(before), _val(best)):
            lines.append(_line(plan, monitor, number, best, before))
    return lines


def _line(plan: Plan, monitor: Monitor, number: int, best: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    earlier = plan.number(before["epoch"])
    value, most = monitor.value(_val(best)), monitor.value(_val(before))
    return (
        f"phase {number + 1} ({plan.describe(number)}) is worse than phase {earlier + 1} ({plan.describe(earlier)}): "
        f"{monitor} {value:.4f} after {most:.4f}; the best epoch is of phase {earlier + 1}. In phase {number + 1} try "
        f"{plan.gentler(number)}, or leave it out"
    )


def _best(monitor: Monitor, epochs: Epochs) -> Mapping[str, Any] | None:
    best = None
    for line in epochs:
        if best is None or monitor.is_better(_val(line), _val(best)):
            best = line
    return best


def _val(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("val/"): value for name, value in line.items() if name.startswith("val/")}
