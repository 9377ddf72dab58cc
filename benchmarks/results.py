"""Results: a JSON file for each row, and RESULTS.md, which is made from all of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from rows import ROWS, Row

Runs: TypeAlias = Sequence[Mapping[str, Any]]
"""The figures of one contender, round by round."""
Rounds: TypeAlias = Mapping[str, Runs]
"""Those of each contender."""

_HEAD = """# Results

Made by `benchmarks/run.py` from `results/*.json`; a row that is run again replaces only its own section. Each figure is
the median of the rounds, in which the contenders take turns, each in a process of its own.
"""


def save(folder: Path, row: Row, about: Mapping[str, Any], rounds: Rounds) -> None:
    """Write the row's file."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"row": row.name, **about, "rounds": rounds}
    (folder / f"{row.name}.json").write_text(json.dumps(content, indent=1) + "\n")


def load(folder: Path, row: Row) -> dict[str, Any]:
    """What `save` wrote; nothing where there are no results yet."""
    path = folder / f"{row.name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def render(folder: Path) -> str:
    """RESULTS.md, in the order of the rows."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    sections = [_section(row, found[name]) for name, row in ROWS.items() if name in found]
    return "\n".join([_HEAD, *sections])


def table(row: Row, rounds: Rounds) -> list[list[str]]:
    """A heading and a line for each contender."""
    titles = {column.key: column.title for column in row.columns}
    ratios = [f"{titles[key]}, ratio to {row.contenders[0].name}" for key in row.ratios]
    lines = [["", *ratios, *titles.values()]]
    for name, runs in rounds.items():
        own = [_ratio(key, rounds.get(row.contenders[0].name, []), runs) for key in row.ratios]
        lines.append([name, *own, *(_shown([run.get(each.key) for run in runs], each.form) for each in row.columns)])
    return lines


def _ratio(key: str, first: Runs, runs: Runs) -> str:
    """Of each round, then the median: what else the machine does slows the contenders of one round alike."""
    return _shown([run[key] / base[key] for run, base in zip(runs, first, strict=False)], "{:.2f}")


def _shown(values: Sequence[Any], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if isinstance(known[0], str):
        return ", ".join(sorted(set(known)))
    return form.format(median(known))


def _section(row: Row, found: Mapping[str, Any]) -> str:
    heading, *lines = table(row, found["rounds"])
    columns = " | ".join(heading), "|".join(["---", *["---:"] * (len(heading) - 1)])
    most = max(map(len, found["rounds"].values()), default=0)
    missing = [f"Not run: {name} ({why})." for name, why in found["missing"].items()]
    return "\n".join(
        [
            f"## {row.title}",
            "",
            f"`{found['command']}`, {found['data']}, {most} rounds. {about(found['machine'])}",
            "",
            f"| {columns[0]} |",
            f"|{columns[1]}|",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            *([" ".join([row.note, *missing]), ""] if row.note or missing else []),
        ]
    )


def about(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (
        f"{machine['date']}: {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['memory_gb']} GB, {machine['system']}; Python {machine['python']}, {versions}."
    )
