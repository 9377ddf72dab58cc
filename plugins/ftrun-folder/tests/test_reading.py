"""Image files as a split."""

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

import ftrun
from ftrun_folder import ImageFolder


@pytest.fixture
def splits(tmp_path: Path) -> ftrun.Splits:
    for name in ("train/cat/1.png", "train/cat/2.png", "train/ant/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2), (len(name), 0, 0)).save(tmp_path / name)
    (tmp_path / "train/cat/3.png").write_bytes(b"no image")
    return ImageFolder(name="image-folder", path=tmp_path).build()


def test_samples_and_targets_agree(splits: ftrun.Splits) -> None:
    assert splits.targets == {"label": ftrun.Classes(names=("ant", "cat"))}
    assert splits.train.columns["label"].tolist() == [0, 1, 1, 1]
    assert splits.train.columns["label"].dtype == torch.int64
    image, targets = splits.train[0]
    assert image.shape == (3, 2, 3)
    assert targets == {"label": torch.tensor(0)}
    some = ftrun.Subset(splits.train, torch.tensor([2, 0]))
    assert [some.sample_name(index) for index in range(2)] == ["train/cat/2.png", "train/ant/1.png"]
    copy = pickle.loads(pickle.dumps(splits))
    assert torch.equal(copy.train[1][0], splits.train[1][0])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_worker_reads_images_and_names_the_unreadable(splits: ftrun.Splits) -> None:
    def loader(*indices: int) -> torch.utils.data.DataLoader[ftrun.Sample]:
        return torch.utils.data.DataLoader(splits.train, batch_size=None, sampler=indices, num_workers=1)

    assert [int(targets["label"]) for _, targets in loader(2, 0)] == [1, 0]
    with pytest.raises(ftrun.DataError, match=r"train/cat/3\.png cannot be read"):
        list(loader(3))
