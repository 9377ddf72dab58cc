"""Phases that train at input sizes of their own, such as smaller ones at first; evaluation is always at the run's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import EveryStep, dark_and_light_images, tiny_spec, write_spec
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from ftrun.contracts.errors import SpecError
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.assemble import assemble

CPU = torch.device("cpu")
SMALL_FIRST = [{"epochs": 2, "input": {"size": 4}}, {"epochs": 1}]


@pytest.fixture(autouse=True)
def images(site, monkeypatch) -> None:
    monkeypatch.setenv("FTRUN_CACHE", str(Path("cache").absolute()))
    dark_and_light_images(Path("images"), 17, 24)


def spec(phases: Any = SMALL_FIRST, *augment: Any, **changes: Any) -> dict[str, Any]:
    data = {"name": "image-folder", "path": "images"}
    return tiny_spec(dataset=data, augment=list(augment), train={"batch_size": 8, "phases": phases}, **changes)


@pytest.fixture
def seen() -> Iterator[list[tuple[bool, int]]]:
    """Whether the net trained, and how wide its images were, at each pass."""
    widths: list[tuple[bool, int]] = []

    def note(module: nn.Module, inputs: Any, result: Any) -> None:
        if isinstance(module, nn.Conv2d):
            widths.append((torch.is_grad_enabled(), inputs[0].shape[-1]))

    hook = register_module_forward_hook(note)
    yield widths
    hook.remove()


def run(spec: dict[str, Any], out: str, catalogue: Catalogue, copies: Path | None = None) -> Path:
    signals = EveryStep(Path(out), copies) if copies else None
    begin.run(
        begin.Request(check_spec(spec, catalogue), "s", json.dumps(spec), (), catalogue, Path(out), "cpu"), signals
    )
    return Path(out)


def weights(folder: Path) -> bytes:
    return (folder / "checkpoints" / "last" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "augment", [(), ("horizontal-flip", {"name": "random-crop", "padding": 1}), ("random-resized-crop",)]
)
def test_a_phase_trains_at_its_own_size_and_everything_is_evaluated_at_the_run_s(augment, seen, catalogue):
    run(spec(SMALL_FIRST, *augment), "run", catalogue)
    passes = seen[1:]  # the first tries the net out
    trained = [width for learns, width in passes if learns]
    steps = len(trained) // 3
    assert trained == [4] * 2 * steps + [8] * steps
    evaluated = {width for learns, width in passes if not learns}
    assert evaluated <= {4, 8}
    assert [width for learns, width in passes[1:] if not learns and width != 8] == []
    assert json.loads(Path("run/resolved.json").read_text())["input"]["size"] == [8, 8]


def test_the_cache_keeps_each_size(ftrun):
    assert ftrun(write_spec(spec())).exit_code == 0
    shapes = {each["name"]: each["shape"] for each in json.loads(ftrun("cache", "--json").output)["entries"]}
    assert shapes["image-folder, train of a phase"] == [3, 4, 4]
    assert shapes["image-folder, train"] == [3, 8, 8]
    assert shapes["image-folder, test"] == [3, 8, 8]
    again = ftrun(write_spec(spec()))
    assert "decoding" not in again.output
    assert weights(Path("runs/spec-1")) == weights(Path("runs/spec-2"))


def test_without_a_cache_and_with_workers_it_is_the_same(catalogue, monkeypatch):
    first = run(spec(SMALL_FIRST, "random-resized-crop"), "first", catalogue)
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert weights(run(spec(SMALL_FIRST, "random-resized-crop"), "second", catalogue)) == weights(first)


def test_embeddings_are_those_of_the_phase_s_size(catalogue, seen):
    """A frozen net that saw small images, then large ones: as where nothing is kept."""
    phases = [{"epochs": 2, "freeze": "features", "input": {"size": 4}}, {"epochs": 2, "freeze": "features"}]
    kept = run(spec(phases), "kept", catalogue)
    widths = [width for _, width in seen]
    assert 4 in widths[2:]
    seen.clear()
    again = run(spec([*phases[:1], {**phases[1], "input": {"size": 8}}]), "again", catalogue)
    assert weights(kept) == weights(again)
    assert len(seen) < len(widths), "embeddings of both sizes are in the cache"
    assert weights(run(spec([{**phases[0], "input": None}, phases[1]]), "large", catalogue)) != weights(kept)


def test_it_resumes_to_the_bit_from_any_step(tmp_path, catalogue):
    copies = tmp_path / "copies"
    copies.mkdir()
    straight = run(spec(SMALL_FIRST, "horizontal-flip"), str(tmp_path / "straight"), catalogue, copies)
    for copy in copies.iterdir():
        begin.resume(RunFolder.existing(copy), catalogue, None, None)
        assert weights(copy) == weights(straight)


def test_a_crop_stays_where_the_size_alone_changes(catalogue):
    job = assemble(check_spec({**spec(), "input": {"crop": 0.5, "size": 8}}, catalogue), CPU)
    assert [each.seen.crop for each in job.feed.train_inputs] == [0.5, 0.5]
    assert [each.seen.size for each in job.feed.train_inputs] == [(4, 4), (8, 8)]


def test_what_is_the_net_s_own_work_is_refused(catalogue):
    wrong = spec([{"epochs": 1}, {"epochs": 1, "input": {"mean": [0.1, 0.1, 0.1]}}])
    with pytest.raises(SpecError, match=r"train.phases.1.input.mean: is the same in all phases"):
        assemble(check_spec(wrong, catalogue), CPU)


def test_check_shows_the_sizes(ftrun):
    assert ["input", "size", "4", "as", "it", "is"] in [
        line.split() for line in ftrun("check", write_spec(spec())).output.splitlines()
    ]
