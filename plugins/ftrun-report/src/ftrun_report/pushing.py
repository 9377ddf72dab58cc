"""`ftrun push`: what of a run goes to a hub, and to which. Loads nothing heavy but to check the weights."""

from collections.abc import Sequence
from pathlib import Path

from ftrun import FtrunError, Hub, Run, SpecError
from ftrun.commands import named_part, shown

_FILES = {
    "model.safetensors": "checkpoints/best/model.safetensors",
    "net.json": "checkpoints/best/net.json",
    **{name: name for name in ("README.md", "results.json", "resolved.json", "metrics.jsonl", "report.html")},
}
"""By their names in a repository; not the state that training goes on from, nor samples' predictions, nor the log."""
_EXPORTS = "exports"
_BROUGHT_BY = {"huggingface": "ftrun-huggingface"}


def hub(run: Run, name: str | None, assignments: Sequence[str]) -> Hub:
    """Return the hub called `name`, or the only one that is installed; with its options.

    assignments: OPTION=VALUE, as `--set` has them

    Raises SpecError where there is no such hub or option, PluginError where its plugin is broken or clashes.
    """
    catalogue = run.catalogue((), named=[(Hub.role, name)])
    if name is None:
        known = list(catalogue.parts(Hub.role))
        if len(known) > 1:
            raise SpecError(f"--to: is required. Installed: {', '.join(known)}.")
        if not known:
            raise SpecError("No hub is installed: pip install ftrun-huggingface brings the one of Hugging Face.")
        (name,) = known
    part: Hub = named_part(Hub.role, name, catalogue, assignments, option="--to", brought_by=_BROUGHT_BY)
    return part


def check_finished(run: Run) -> None:
    """Raise SpecError where the run is not, FtrunError where its results are gone."""
    if run.results is None:
        raise SpecError(
            f"{run.folder}: this run is {run.status.get('state')}. What is pushed is a finished one: "
            f"ftrun resume {run.folder}"
        )


def files(run: Run) -> dict[str, Path]:
    """Return what of a finished run goes to a hub, by its name there."""
    with_weights = {name: f"checkpoints/best/{name}" for name in ("heads.safetensors", *_part_files(run))}
    paths = {name: run.folder / path for name, path in {**_FILES, **with_weights}.items()}
    present = {name: path for name, path in paths.items() if path.is_file()}
    exports = run.folder / _EXPORTS
    for path in sorted(exports.rglob("*")) if exports.is_dir() else []:
        inside = path.relative_to(exports)
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in inside.parts):
            present[f"{_EXPORTS}/{inside.as_posix()}"] = path
    return present


def _part_files(run: Run) -> list[str]:
    """Return the files of the parts' states next to the weights: a text net is nothing without its tokenizer."""
    parts = run.best.get("parts")
    lists = [part.get("files") for part in parts.values() if isinstance(part, dict)] if isinstance(parts, dict) else []
    names = [name for each in lists if isinstance(each, list) for name in each]
    return [name for name in names if isinstance(name, str) and Path(name).name == name]


def message(run: Run) -> str:
    """Return `quickstart-1: test accuracy 0.9523`: a line on what is pushed."""
    monitor = str(run.resolved.get("monitor")).rpartition("val/")[2]
    value = run.metrics.get(monitor)
    return run.name if value is None else f"{run.name}: {run.split} {monitor} {shown(value)}"


def write_card(run: Run) -> None:
    """See that there is a model card. Raises FtrunError."""
    from ftrun_report import card

    if not (run.folder / card.NAME).exists():
        card.write_anew(run)


def address(answer: object) -> str:
    """Return what a hub gave, if it is an address."""
    if not isinstance(answer, str) or not answer:
        raise FtrunError(f"the hub gave {answer!r}, which is no address; see there whether all has arrived.")
    return answer
