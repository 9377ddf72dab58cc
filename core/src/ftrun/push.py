"""`ftrun push`: what of a run goes to a hub, and to which. Loads nothing heavy but to check the weights."""

from collections.abc import Sequence
from pathlib import Path

from ftrun.contracts.errors import FtrunError, PluginError, SpecError, did_you_mean
from ftrun.contracts.figures import is_figure, shown
from ftrun.contracts.specs import Hub
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs.folder import RunFolder
from ftrun.spec.options import with_options

_FILES = {
    "model.safetensors": "checkpoints/best/model.safetensors",
    "net.json": "checkpoints/best/net.json",
    **{name: name for name in ("README.md", "results.json", "resolved.json", "metrics.jsonl", "report.html")},
}
"""By their names in a repository; not the state that training goes on from, nor samples' predictions, nor the log."""
_EXPORTS = "exports"
_BROUGHT_BY = {"huggingface": "ftrun-huggingface"}


def hub(catalogue: Catalogue, name: str | None, assignments: Sequence[str]) -> Hub:
    """The hub called `name`, or the only one that is installed; with its options.

    assignments: OPTION=VALUE, as `--set` has them

    Raises SpecError where there is no such hub or option, PluginError where its plugin is broken or clashes.
    """
    known = catalogue.parts(Hub.role)
    if name is None:
        if len(known) != 1:
            raise SpecError(f"--to: is required. {_installed(catalogue)}")
        name = next(iter(known))
    catalogue.check_clash(Hub.role, name)
    if name not in known:
        message = f"--to: no hub named {name!r}.{did_you_mean(name, known)} {_installed(catalogue)}"
        if name in _BROUGHT_BY:
            message += f" For {name}: pip install {_BROUGHT_BY[name]}"
        raise PluginError(message + catalogue.not_here) if catalogue.not_here else SpecError(message)
    part = with_options(known[name], name, assignments, example="option=value")
    assert isinstance(part, Hub)  # for the type checker: the hook offers nothing else
    return part


def _installed(catalogue: Catalogue) -> str:
    names = catalogue.parts(Hub.role)
    if names:
        return f"Installed: {', '.join(names)}."
    return "No hub is installed: pip install ftrun-huggingface brings the one of Hugging Face."


def check_finished(folder: RunFolder) -> None:
    """Raise SpecError where the run is not."""
    state = folder.read_status().get("state")
    if state != "finished" or not (folder.path / "results.json").is_file():
        raise SpecError(
            f"{folder.path}: this run is {state}. What is pushed is a finished one: ftrun resume {folder.path}"
        )


def files(folder: RunFolder) -> dict[str, Path]:
    """What of a finished run goes to a hub, by its name there."""
    beside = {name: f"checkpoints/best/{name}" for name in _input_files(folder)}
    places = {name: folder.path / place for name, place in {**_FILES, **beside}.items()}
    found = {name: place for name, place in places.items() if place.is_file()}
    exports = folder.path / _EXPORTS
    for path in sorted(exports.rglob("*")) if exports.is_dir() else []:
        inside = path.relative_to(exports)
        if path.is_file() and not path.is_symlink() and not any(each.startswith(".") for each in inside.parts):
            found[f"{_EXPORTS}/{inside.as_posix()}"] = path
    return found


def _input_files(folder: RunFolder) -> list[str]:
    """What the net's input is kept in, beside the weights: a text net is nothing without its tokenizer."""
    names = folder.read_json("checkpoints/best/net.json").get("input_files")
    known = names.values() if isinstance(names, dict) else ()
    return [name for name in known if isinstance(name, str) and Path(name).name == name]


def message(folder: RunFolder) -> str:
    """`quickstart-1: test accuracy 0.9523`: a line on what is pushed."""
    results, name = folder.read_json("results.json"), folder.path.resolve().name
    split = "test" if results.get("test") else "val"
    monitor = str(folder.read_json("resolved.json").get("monitor")).rpartition("val/")[2]
    value = (results.get(split) or {}).get(monitor)
    return f"{name}: {split} {monitor} {shown(value)}" if is_figure(value) else name


def check_whole(folder: RunFolder) -> None:
    """Raise FtrunError where the weights, or what belongs to them, are not what was saved."""
    from ftrun.runs import checkpoint

    checkpoint.verify(folder.best())


def write_card(folder: RunFolder, *, trust: bool = False) -> None:
    """See that there is a model card. Raises FtrunError.

    trust: whether local parts in the folder may run although this user has never run them
    """
    from ftrun.run import card

    if not (folder.path / card.NAME).exists():
        card.again(folder, trust=trust)


def address(given: object) -> str:
    """What a hub gave, if it is an address."""
    if not isinstance(given, str) or not given:
        raise FtrunError(f"the hub gave {given!r}, which is no address; see there whether all has arrived.")
    return given
