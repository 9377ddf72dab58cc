import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftrun import Classes, DataError, Labels, Splits, Subset, TensorSplit, Values
from ftrun.data.splits import check, complete, stratified


def split(labels, **others):
    labels = torch.as_tensor(labels)
    return TensorSplit(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), {"label": labels, **others})


def classes(count: int) -> dict[str, Classes]:
    return {"label": Classes(names=tuple(f"c{index}" for index in range(count)))}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_the_cut_keeps_the_proportions_of_classes(labels, fraction, seed):
    strata = torch.tensor(labels)
    chosen = stratified(strata, fraction, seed)
    assert torch.equal(chosen, stratified(strata, fraction, seed))
    for label in set(labels):
        total, taken = int((strata == label).sum()), int(chosen[strata == label].sum())
        assert taken == (0 if total == 1 else min(max(round(total * fraction), 1), total - 1))


def test_the_cut_takes_of_each_class_what_the_generator_draws_of_it_in_their_order():
    strata = torch.tensor([3, 0, -1, 3, 0, 0, 3, -1, 0, 3])
    generator, expected = torch.Generator().manual_seed(5), set()
    for label in (-1, 0, 3):
        members = [sample for sample, each in enumerate(strata.tolist()) if each == label]
        drawn = torch.randperm(len(members), generator=generator)[: round(len(members) / 2)]
        expected |= {members[each] for each in drawn.tolist()}
    assert set(stratified(strata, 0.5, 5).nonzero().flatten().tolist()) == expected


def test_another_seed_cuts_elsewhere():
    strata = torch.arange(200) % 4
    assert not torch.equal(stratified(strata, 0.2, 0), stratified(strata, 0.2, 1))


def test_val_is_cut_from_train_where_there_is_none():
    train = split([0, 1] * 50)
    train.inputs[:, 0, 0, 0] = torch.arange(100)
    done = complete(Splits(train=train, targets=classes(2)), val_fraction=0.2, seed=3)
    assert (len(done.train), len(done.val)) == (80, 20)
    seen = [int(each[i][0][0, 0, 0]) for each in (done.train, done.val) for i in range(len(each))]
    assert sorted(seen) == list(range(100))
    assert done.val.columns["label"].bincount().tolist() == [10, 10]


def test_a_val_that_is_given_is_kept():
    val = split([1, 0])
    assert complete(Splits(train=split([0, 1]), val=val, targets=classes(2)), val_fraction=0.5, seed=0).val is val


def test_values_are_cut_without_strata():
    values = {"price": Values()}
    train = TensorSplit(torch.zeros(10, 1, 4, 4, dtype=torch.uint8), {"price": torch.rand(10, 1)})
    assert len(complete(Splits(train=train, targets=values), val_fraction=0.3, seed=0).val) == 3


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (Splits(train=split([0, 7, 1, 9]), targets=classes(3)), "sample 1 has label 7, but there are 3 classes"),
        (Splits(train=split([0, -2, 1]), targets=classes(2)), "sample 1 has label -2"),
        (
            Splits(train=split([0, 1]), test=split([0, 2]), targets=classes(2)),
            "test, target 'label': sample 1 has label 2",
        ),
        (Splits(train=split([0, 0, 2]), targets=classes(3)), "no training sample of class 'c1'"),
        (
            Splits(train=split([0]), targets={"label": Classes(names=("caf\udce9",))}),
            r"'caf\\udce9' is not Unicode text",
        ),
        (Splits(train=split([0]), targets={"\udce9": classes(1)["label"]}), r"'\\udce9' is not Unicode text"),
        (Splits(train=split([0]), targets={"label": Classes(names=("a", "b", "a"))}), "'a' stands for 2 of them"),
        (Splits(train=split([]), targets=classes(1)), "the train split is empty"),
        (Splits(train=split([0]), targets={"age": Values()}), "the train split has no target 'age'; it has label"),
    ],
)
def test_wrong_data_is_named(splits, message):
    splits.train.columns["label"] = splits.train.columns["label"].long()
    with pytest.raises(DataError, match=message):
        check(splits)


def test_other_kinds_of_target_are_checked():
    with pytest.raises(DataError, match="sample 1 has labels other than 0 and 1"):
        Labels(names=("a", "b")).check(torch.tensor([[0.0, 1.0], [0.5, 0.0]]), "train")
    with pytest.raises(DataError, match="a value that is not finite"):
        Values().check(torch.tensor([[0.0], [float("inf")]]), "train")
    with pytest.raises(DataError, match=r"sample 0 has values of shape \[\], but \[1\] is needed"):
        Values().check(torch.zeros(3), "train")


def test_a_target_may_be_missing_in_some_samples_but_not_in_all():
    check(Splits(train=split([0, -1, 1]), targets=classes(2)))
    with pytest.raises(DataError, match="no sample of the val split has target 'label'"):
        check(Splits(train=split([0, 1]), val=split([-1, -1]), targets=classes(2)))
    with pytest.raises(DataError, match="no training sample of class 'c1'"):
        check(Splits(train=split([0, -1]), targets=classes(2)))


def test_one_sample_of_each_class_is_too_few_to_cut_val_from():
    with pytest.raises(DataError, match="2 training samples are too few"):
        complete(Splits(train=split([0, 1]), targets=classes(2)), val_fraction=0.1, seed=0)


def test_a_subset_reads_whole_batches_and_one_by_one_alike():
    whole = split(torch.arange(10) % 3)
    whole.inputs[:, 0, 0, 0] = torch.arange(10)
    part = Subset(whole, torch.tensor([7, 2, 5]))
    inputs, targets = part.__getitems__([2, 0])
    assert inputs[:, 0, 0, 0].tolist() == [5, 7]
    assert targets["label"].tolist() == [2, 1]
    assert int(part[0][0][0, 0, 0]) == 7
    assert part.in_memory


def test_splits_in_memory_need_equal_lengths():
    with pytest.raises(ValueError, match="3 inputs, but 2 values"):
        TensorSplit(torch.zeros(3, 1, 2, 2), {"label": torch.zeros(2)})
