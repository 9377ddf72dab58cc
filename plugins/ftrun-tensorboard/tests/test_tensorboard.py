"""The observer, driven with records; its files, read back with TensorBoard's own reader."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy
import pytest
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import ftrun
from ftrun_tensorboard import TensorBoard

SPEC = {
    "dataset": {"name": "digits"},
    "optimizer": {"name": "sgd", "lr": 0.05, "nesterov": True},
    "augment": [{"name": "random-crop", "padding": 4}],
    "input": {"mean": [0.5, 0.25]},
    "scheduler": None,
    "modifiers": [],
    "train": {"epochs": 2},
}
RESULTS = {
    "best_epoch": 2,
    "val": {"loss": 0.5, "accuracy": 0.75, "confusion_matrix": [[3, 1], [0, 4]]},
    "test": {"loss": 0.625, "accuracy": 0.5},
    "samples": {"train": 10},
    "seconds": {"train": 1.5},
}


def run_info(folder: Path) -> ftrun.RunInfo:
    return ftrun.RunInfo("spec-1", folder, SPEC, "cpu", {"train": 10}, epochs=2, steps_per_epoch=5)


def hooks(observer: object) -> Any:
    """The observer's methods as a run calls them: with all of the arguments by name."""
    manager = pluggy.PluginManager("ftrun")
    manager.register(observer)
    return manager.hook


def follow(run: ftrun.RunInfo, results: dict[str, Any] | None, folder: Path | None = None, epochs: int = 2) -> None:
    hook = hooks(TensorBoard(name="tensorboard", folder=folder).build())
    hook.ftrun_before_run(run=run)
    for number in range(1, epochs + 1):
        figures = {"epoch": number, "step": 5 * number, "lr": 0.1, "train/loss": 2.0 / number, "val/accuracy": 0.25}
        hook.ftrun_after_epoch(run=run, epoch=ftrun.EpochInfo(number, 5 * number, figures, True))
    if results:
        hook.ftrun_after_run(run=run, results=results)
    else:
        hook.ftrun_on_error(run=run, error=RuntimeError("stopped"))


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def scalars(events: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in events.Scalars(name)]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> EventAccumulator:
    folder = tmp_path_factory.mktemp("run")
    follow(run_info(folder), RESULTS)
    return read(folder / "tensorboard")


def test_figures_are_drawn_against_the_epoch(events: EventAccumulator) -> None:
    assert scalars(events, "train/loss") == [(1, 2.0), (2, 1.0)]
    assert scalars(events, "val/accuracy") == [(1, 0.25), (2, 0.25)]
    assert [value for _, value in scalars(events, "lr")] == pytest.approx([0.1, 0.1])


def test_results_are_figures_at_the_best_epoch_and_nothing_else_is_drawn(events: EventAccumulator) -> None:
    assert scalars(events, "best/test/accuracy") == [(2, 0.5)]
    assert scalars(events, "best/val/loss") == [(2, 0.5)]
    best = {f"best/{split}/{name}" for split in ("val", "test") for name in ("loss", "accuracy")}
    assert set(events.Tags()["scalars"]) == {"lr", "train/loss", "val/accuracy", *best}


def test_the_spec_is_there_as_text(events: EventAccumulator) -> None:
    (text,) = events.Tensors("spec/text_summary")
    lines = text.tensor_proto.string_val[0].decode().splitlines()
    assert (lines[0], lines[-1]) == ("```json", "```")
    assert json.loads("\n".join(lines[1:-1])) == SPEC


def test_the_spec_s_values_are_hyperparameters(events: EventAccumulator) -> None:
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert values["optimizer.lr"].number_value == 0.05
    assert values["optimizer.nesterov"].number_value == 1  # torch writes truth values as numbers
    assert values["augment.0.name"].string_value == "random-crop"
    assert values["input.mean.1"].number_value == 0.25
    assert "scheduler" not in values


def test_a_run_without_test_split_has_results_of_val(tmp_path: Path) -> None:
    follow(run_info(tmp_path), {**RESULTS, "test": None})
    tags = read(tmp_path / "tensorboard").Tags()["scalars"]
    assert [tag for tag in tags if tag.startswith("best/")] == ["best/val/loss", "best/val/accuracy"]


def test_a_folder_of_one_s_own_keeps_runs_apart(tmp_path: Path) -> None:
    follow(run_info(tmp_path / "run"), RESULTS, folder=tmp_path / "boards")
    assert scalars(read(tmp_path / "boards" / "spec-1"), "train/loss") == [(1, 2.0), (2, 1.0)]
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_leaves_what_there_was(tmp_path: Path) -> None:
    follow(run_info(tmp_path), None, epochs=1)
    assert scalars(read(tmp_path / "tensorboard"), "train/loss") == [(1, 2.0)]


def test_a_run_that_fails_before_it_starts_writes_nothing(tmp_path: Path) -> None:
    observer = TensorBoard(name="tensorboard").build()
    hooks(observer).ftrun_on_error(run=run_info(tmp_path), error=RuntimeError("stopped"))
    assert list(tmp_path.iterdir()) == []


def test_epochs_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    hook = hooks(TensorBoard(name="tensorboard").build())
    run = run_info(tmp_path)
    hook.ftrun_before_run(run=run)
    hook.ftrun_after_epoch(run=run, epoch=ftrun.EpochInfo(1, 5, {"train/loss": math.nan}, False))
    ((step, value),) = scalars(read(tmp_path / "tensorboard"), "train/loss")
    assert step == 1
    assert math.isnan(value)
    hook.ftrun_on_error(run=run, error=RuntimeError("stopped"))


def test_the_folder_is_a_path() -> None:
    part = TensorBoard.model_validate_json('{"name": "tensorboard", "folder": "boards"}')
    assert part.folder == Path("boards")
    assert part.model_dump(mode="json")["folder"] == "boards"
    with pytest.raises(ValidationError):
        TensorBoard.model_validate_json('{"name": "tensorboard", "folder": 3}')


def test_importing_the_plugin_loads_neither_torch_nor_tensorboard() -> None:
    code = "import ftrun_tensorboard, sys; sys.exit('torch' in sys.modules or 'tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_resumed_run_replaces_the_epochs_that_it_repeats(tmp_path):
    run = run_info(tmp_path)
    follow(run, None, epochs=2)
    hook = hooks(TensorBoard(name="tensorboard").build())
    hook.ftrun_before_run(run=replace(run, epochs_done=1))
    figures = {"epoch": 2, "step": 10, "val/accuracy": 0.5}
    hook.ftrun_after_epoch(run=run, epoch=ftrun.EpochInfo(2, 10, figures, True))
    hook.ftrun_after_run(run=run, results=RESULTS)
    values = [(each.step, each.value) for each in read(tmp_path / "tensorboard").Scalars("val/accuracy")]
    assert values == [(1, 0.25), (2, 0.5)]
