"""Augmentations that move pixels are composed, and resampled once; what lies in the images follows."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ftrun import Batch, SampleRandom, Values, Warp, resample
from ftrun.contracts import resampling
from ftrun.train import augmenting
from ftrun.train.augmenting import Augmenter, Step
from ftrun.train.checks import fault_of_warp

SIZE = (12, 16)


def images(count: int = 6, height: int = 12, width: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def batch(inputs: Tensor, **targets: Tensor) -> Batch:
    return Batch(inputs, targets, torch.arange(len(inputs)))


def flip(random: SampleRandom, size: tuple[int, int]) -> Warp:
    return Warp.mirrored(random.chance(0.5), size)


def shift(random: SampleRandom, size: tuple[int, int]) -> Warp:
    return Warp.shifted(random.integers(2, high=7) - 3, size)


def zoom(random: SampleRandom, size: tuple[int, int]) -> Warp:
    return Warp.linear(torch.diag_embed(random.uniform(1, low=1, high=2).expand(-1, 2)), size)


def invert(batch: Batch, random: SampleRandom) -> Batch:
    return replace(batch, inputs=255 - batch.inputs)


def drawing(position: int) -> SampleRandom:
    return SampleRandom(position, torch.arange(6))


class Points(Values):
    """A target whose values are places in the image."""

    def follow(self, values: Tensor, warp: Warp) -> Tensor:
        return warp.points(values)


TARGETS = {"places": Points(names=("x", "y")), "label": Values(names=("size",))}


def augmenter(*functions: Any) -> Augmenter:
    steps = [Step(function is not invert, function, position) for position, function in enumerate(functions)]
    return Augmenter(steps, TARGETS)


@pytest.fixture
def resampled(monkeypatch: Any) -> list[Warp]:
    """The maps that images are resampled by."""
    done: list[Warp] = []

    def counted(images: Tensor, warp: Warp) -> Tensor:
        done.append(warp)
        return resampling.resample(images, warp)

    monkeypatch.setattr(augmenting, "resample", counted)
    return done


def test_whole_pixels_are_moved_as_one_after_the_other(resampled: list[Warp]) -> None:
    inputs = images()
    moved = augmenter(flip, shift, flip)(batch(inputs), drawing).inputs
    assert len(resampled) == 1
    flipped = resample(inputs, flip(drawing(0), SIZE))
    first = augmenter(flip, shift)(batch(inputs), drawing).inputs
    assert torch.equal(first, resample(flipped, shift(drawing(1), SIZE)))
    assert torch.equal(moved, resample(first, flip(drawing(2), SIZE)))


def test_what_changes_a_batch_sees_images_that_are_moved(resampled: list[Warp]) -> None:
    inputs = images()
    changed = augmenter(flip, zoom, invert, shift)(batch(inputs), drawing).inputs
    assert len(resampled) == 2
    before = resample(inputs, flip(drawing(0), SIZE).then(zoom(drawing(1), SIZE)))
    assert torch.equal(changed, resample(255 - before, shift(drawing(3), SIZE)))


def test_targets_follow_by_the_map_of_all(resampled: list[Warp]) -> None:
    places = torch.rand(6, 5, 2) * 10
    given = replace(batch(images(), places=places, label=torch.arange(6)), extra={"warp": Warp.identity(SIZE).matrix})
    followed = augmenter(flip, invert, zoom)(given, drawing)
    warp = flip(drawing(0), SIZE).then(zoom(drawing(2), SIZE))
    assert torch.allclose(followed.targets["places"], warp.points(places), atol=1e-4)
    assert torch.equal(followed.targets["label"], torch.arange(6))
    assert torch.allclose(followed.extra["warp"], warp.matrix)


def test_images_that_are_kept_larger_are_moved_from_there(resampled: list[Warp]) -> None:
    larger = images(6, 24, 32)
    places = torch.rand(6, 5, 2) * 10
    augment = replace(augmenter(flip, zoom), size=SIZE)
    moved = augment(batch(larger, places=places), drawing)
    warp = Warp.resized((24, 32), SIZE).then(flip(drawing(0), SIZE)).then(zoom(drawing(1), SIZE))
    assert len(resampled) == 1
    assert torch.equal(moved.inputs, resample(larger, warp))
    assert torch.allclose(moved.targets["places"], warp.points(places), atol=1e-4)
    assert augment.plain(batch(larger)).inputs.shape == (6, 3, *SIZE)
    assert augment.plain(batch(images())).inputs.shape == (6, 3, *SIZE)


@pytest.mark.parametrize(
    ("drawn", "fault"),
    [
        (torch.zeros(6, 2, 3), "Tensor float32 [6, 2, 3], but it moves pixels: an ftrun.Warp is needed."),
        (Warp.identity(SIZE), "a Warp (2, 3) to images of (12, 16), but (6, 2, 3) to (12, 16) is needed"),
        (
            Warp(torch.zeros(6, 2, 3), (8, 8)),
            "a Warp (6, 2, 3) to images of (8, 8), but (6, 2, 3) to (12, 16) is needed",
        ),
    ],
)
def test_what_is_no_map_of_each_sample_is_told(drawn: Any, fault: str) -> None:
    assert fault in fault_of_warp(drawing(0), SIZE, drawn)
    assert not fault_of_warp(drawing(0), SIZE, flip(drawing(0), SIZE))


def pair(brightness: int) -> tuple[Any, Any]:
    """What moves and changes images by the same draw."""

    def move(random: SampleRandom, size: tuple[int, int]) -> Warp:
        return Warp.mirrored(random.chance(0.5), size)

    def change(batch: Batch, random: SampleRandom) -> Batch:
        return replace(batch, inputs=batch.inputs.where(~random.chance(0.5)[:, None, None, None], brightness))

    return move, change


def test_two_functions_of_one_augmentation_draw_alike(resampled: list[Warp]) -> None:
    inputs, (move, change) = images(), pair(7)
    steps = [Step(True, shift, 0), Step(True, move, 1), Step(False, change, 1)]
    changed = Augmenter(steps, TARGETS)(batch(inputs), drawing).inputs
    assert len(resampled) == 1
    moved = resample(inputs, shift(drawing(0), SIZE).then(move(drawing(1), SIZE)))
    mirrored = drawing(1).chance(0.5)
    assert 0 < int(mirrored.sum()) < 6
    assert torch.equal(changed, moved.where(~mirrored[:, None, None, None], 7))


def test_those_that_are_off_leave_the_draws_of_others_alone() -> None:
    inputs = batch(images())
    steps = [Step(True, flip, 0, until=0.3), Step(True, shift, 1), Step(False, invert, 2, until=0.6)]
    whole = Augmenter(steps, TARGETS)
    assert whole.at(0.2).steps == steps
    assert whole.at(0.3).steps == steps[1:]
    assert torch.equal(whole.at(0.5)(inputs, drawing).inputs, 255 - resample(inputs.inputs, shift(drawing(1), SIZE)))
    assert torch.equal(whole.at(0.7)(inputs, drawing).inputs, resample(inputs.inputs, shift(drawing(1), SIZE)))
    assert not replace(whole, steps=steps[:1]).at(1)


def project(random: SampleRandom, size: tuple[int, int]) -> Warp:
    corners = torch.tensor([[0.0, 0.0], [size[1], 0.0], [size[1], size[0]], [0.0, size[0]]])
    return Warp.projected(corners + random.uniform(4, 2, low=-1, high=1), size)


def test_targets_follow_what_is_seen_from_elsewhere(resampled: list[Warp]) -> None:
    places = torch.rand(6, 5, 2) * 10
    given = replace(batch(images(), places=places), extra={"warp": Warp.identity(SIZE).matrix})
    followed = augmenter(flip, project, invert, zoom)(given, drawing)
    warp = flip(drawing(0), SIZE).then(project(drawing(1), SIZE)).then(zoom(drawing(3), SIZE))
    assert torch.allclose(followed.targets["places"], warp.points(places), atol=1e-4)
    assert torch.allclose(
        followed.extra["warp"] / followed.extra["warp"][:, 2:, 2:], warp.matrix / warp.matrix[:, 2:, 2:]
    )
    assert not fault_of_warp(drawing(1), SIZE, project(drawing(1), SIZE))
    as_affine = Warp(project(drawing(1), SIZE).matrix, SIZE)
    assert "a Warp (6, 3, 3) to images of (12, 16), but (6, 2, 3)" in fault_of_warp(drawing(1), SIZE, as_affine)
