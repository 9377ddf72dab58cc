import pickle

import pytest
import torch
from sklearn.datasets import load_digits

import ftrun
import ftrun_digits
from ftrun_digits import Digits


@pytest.fixture(scope="module")
def splits() -> ftrun.Splits:
    return Digits(name="digits").build()


def test_it_is_what_a_spec_without_a_dataset_gets() -> None:
    assert list(ftrun_digits.ftrun_datasets()) == [Digits]
    assert Digits.default


def test_splits_have_the_shapes_of_the_contract(splits: ftrun.Splits) -> None:
    assert splits.val is None
    assert splits.targets == {"label": ftrun.Classes(names=tuple("0123456789"))}
    for (_, split), size in zip(splits.items(), (1437, 360), strict=True):
        assert len(split) == size
        image, targets = split[0]
        assert image.shape == (1, 8, 8)
        assert image.dtype == torch.uint8
        assert split.columns["label"].dtype == torch.int64
        assert targets["label"] == split.columns["label"][0]


def test_splits_together_are_the_bundled_digits(splits: ftrun.Splits) -> None:
    digits = load_digits()
    # Exactly what 0 to 16 becomes on the scale 0 to 255; 127.5 goes to the even neighbour.
    scale = torch.tensor([0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255])
    expected = sorted(
        (int(label), tuple(scale[torch.from_numpy(image).long()].flatten().tolist()))
        for image, label in zip(digits.images, digits.target, strict=True)
    )
    found = sorted(
        (int(targets["label"]), tuple(image.flatten().tolist()))
        for _, split in splits.items()
        for image, targets in (split[index] for index in range(len(split)))
    )
    assert found == expected


def test_each_class_has_its_share_of_test(splits: ftrun.Splits) -> None:
    assert splits.test is not None
    in_train, in_test = (split.columns["label"].bincount(minlength=10) for _, split in splits.items())
    assert ((in_test - (in_train + in_test) * 0.2).abs() < 1).all()


def test_test_is_the_same_in_every_run(splits: ftrun.Splits) -> None:
    torch.manual_seed(123)
    again = Digits(name="digits").build()
    for (_, one), (_, other) in zip(splits.items(), again.items(), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.columns["label"], other.columns["label"])


def test_splits_travel_to_workers(splits: ftrun.Splits) -> None:
    copy = pickle.loads(pickle.dumps(splits))
    assert copy.targets == splits.targets
    assert torch.equal(copy.train.inputs, splits.train.inputs)


def test_several_targets_are_of_the_same_images() -> None:
    told = Digits(name="digits", targets=("digit", "parity", "ink")).build()
    plain = Digits(name="digits").build()
    for (_, split), (_, label) in zip(told.items(), plain.items(), strict=True):
        assert torch.equal(split.inputs, label.inputs)
        assert torch.equal(split.columns["digit"], label.columns["label"])
        assert torch.equal(split.columns["parity"], label.columns["label"] % 2)
        ink = split.inputs.flatten(1).double().mean(1, keepdim=True) / 255
        assert torch.allclose(split.columns["ink"], ink, atol=0.002)
    assert {name: target.kind for name, target in told.targets.items()} == {
        "digit": "classes",
        "parity": "classes",
        "ink": "values",
    }


def test_a_target_is_named_once() -> None:
    with pytest.raises(ValueError, match="names a target twice"):
        Digits.model_validate({"name": "digits", "targets": ("ink", "ink")})
