"""The figure is scikit-learn's."""

import pytest
import torch
from ftrun_mean_recall import MeanRecall
from sklearn.metrics import balanced_accuracy_score

import ftrun

TARGET = ftrun.Classes(names=("a", "b", "c", "d", "e"))


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("occurring", [[0, 1, 2, 3, 4], [0, 2, 3], [1, 4]])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_is_that_of_scikit_learn(adjusted: bool, occurring: list[int]) -> None:
    """Uneven classes, of which some are only predicted; in batches, by two processes."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(200, generator=generator) ** 2 * len(occurring)
    labels = torch.tensor(occurring)[drawn.long()]
    logits = torch.randn(200, 5, generator=generator) + torch.nn.functional.one_hot(labels, 5)
    part = MeanRecall(name="mean-recall", adjusted=adjusted)
    metric, other = part.build(TARGET), part.build(TARGET)
    for where, batch in ((metric, slice(0, 50)), (other, slice(50, 90)), (metric, slice(90, 200))):
        where.update(logits[batch], labels[batch])
    metric.merge_state(other)
    expected = balanced_accuracy_score(labels, logits.argmax(dim=1), adjusted=adjusted)
    assert metric.compute().item() == pytest.approx(expected, abs=1e-6)


def test_one_class_alone_is_no_better_than_chance() -> None:
    metric = MeanRecall(name="mean-recall", adjusted=True).build(TARGET)
    metric.update(torch.eye(5)[[0, 0, 1]], torch.tensor([0, 0, 0]))
    assert metric.compute().item() == 0


def test_both_figures_in_one_run() -> None:
    """They have keys of their own."""
    plain, adjusted = (MeanRecall(name="mean-recall", adjusted=each) for each in (False, True))
    assert (plain.key, adjusted.key) == ("mean_recall", "mean_recall_adjusted")
