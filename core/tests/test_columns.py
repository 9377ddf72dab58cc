"""Values that come with the samples: what is known unread, what is read with them, and data without any."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch

from ftrun import Classes, DataError, Prediction, Ragged, Splits, Subset, Target, TensorSplit, Values
from ftrun.contracts.data import columns_of, reads_values, values_at
from ftrun.data import fingerprint, splits
from ftrun.data.mapped import Content, MappedSplit
from ftrun.data.reader import BatchReader, identity
from ftrun.data.remarks import remarks
from ftrun.inference.aligned import align

MILLION = 1_000_000
LABEL = Classes(names=("a", "b"))


class Boxes(Target):
    """Some boxes of each sample, float32 [n, 4]; None where nobody has looked."""

    kind: Literal["boxes"] = "boxes"

    def faults(self, values: Ragged) -> Iterator[tuple[int, str]]:
        yield from ((at, "has a box below 0.") for at, each in enumerate(values.unbind()) if (each < 0).any())

    def collate(self, values: Any) -> Ragged:
        return Ragged.of([torch.full((1, 4), torch.nan) if each is None else each for each in values])

    def present(self, values: Ragged) -> torch.Tensor:
        return torch.stack([~each.isnan().any() for each in values.unbind()])

    def predictions(self, decoded: Any, *, top: int = 1) -> list[Prediction]:
        return [Prediction([]) for _ in decoded]


class Boxed:
    """Samples with boxes, which are made when they are asked for; how often that is, is counted."""

    def __init__(self, count: int, *, columns: dict[str, Any] | None = None, lone: bool = False) -> None:
        self.count, self.asked = count, 0
        if columns is not None:
            self.columns = columns
        if not lone:
            self.values = self._values

    def __len__(self) -> int:
        return self.count

    def _values(self, index: int) -> dict[str, Any]:
        self.asked += 1
        label = {name: column[index] for name, column in columns_of(self).items()}
        return {"boxes": None if index % 7 == 3 else torch.full((index % 3, 4), float(index)), **label}

    def __getitem__(self, index: int, /) -> tuple[Any, dict[str, Any]]:
        return torch.full((2,), index), self._values(index)


class Counted(dict[str, torch.Tensor]):
    """Columns that count how often one is taken."""

    taken = 0

    def __getitem__(self, name: str) -> torch.Tensor:
        self.taken += 1
        return super().__getitem__(name)


def test_a_million_samples_with_boxes_are_cut_without_more_than_one_being_read() -> None:
    split = Boxed(MILLION)
    data = Splits(train=split, targets={"boxes": Boxes()})
    done = splits.complete(data, val_fraction=0.1, seed=0)
    assert done.val is not None
    assert (len(done.training), len(done.val), split.asked) == (900_000, 100_000, 1)
    assert isinstance(done.val, Subset)
    held = [value for value in vars(done.val).values() if isinstance(value, torch.Tensor)]
    assert [each.nbytes for each in held] == [800_000], "its indices, and nothing else"
    assert remarks(done) == []
    assert splits.with_missing(done) == {"boxes"}
    fingerprint.of_targets(done.val, ["boxes"])
    assert split.asked == 1 + 16, "a few samples tell whether the values are others"
    index = int(done.val.indices[5])
    assert values_at(done.val, 5)["boxes"].shape == (index % 3, 4)


def test_a_subset_takes_a_column_when_it_is_asked_for() -> None:
    columns = Counted(label=torch.arange(6) % 2, size=torch.arange(6.0)[:, None])
    split = TensorSplit(torch.arange(6), columns)
    split.columns = columns
    some = Subset(Subset(split, torch.tensor([5, 3, 1])), torch.tensor([2, 0]))
    assert (list(some.columns), len(some.columns), "size" in some.columns) == (["label", "size"], 2, True)
    assert columns.taken == 0
    assert some.columns["size"].tolist() == [[1.0], [5.0]]
    assert columns.taken == 1
    assert "boxes" not in some.columns
    assert some.values(1)["size"].tolist() == [5.0]


@pytest.mark.parametrize("of_column", [True, False])
def test_batches_have_what_the_kind_makes_of_values(of_column: bool) -> None:
    split = Boxed(8, columns={"label": torch.arange(8) % 2} if of_column else None)
    targets = {"boxes": Boxes(), **({"label": LABEL} if of_column else {})}
    reader = BatchReader(split, torch.stack, False, targets=targets, name="train")
    batch, unread = reader.__getitems__([2, 3, 1])
    assert not unread
    assert batch.targets["boxes"].lengths.tolist() == [2, 1, 1]
    assert Boxes().present(batch.targets["boxes"]).tolist() == [True, False, True]
    assert not of_column or batch.targets["label"].tolist() == [0, 1, 1]


def test_numbers_of_a_column_keep_their_type_one_by_one() -> None:
    class OneByOne:
        columns = {"x": torch.tensor([[1 / 3], [2 / 3]], dtype=torch.float64)}  # noqa: RUF012

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int, /) -> Any:
            return torch.zeros(1), {"x": [[1 / 3], [2 / 3]][index]}

    reader = BatchReader(OneByOne(), torch.stack, False, targets={"x": Values()})
    batch, _ = reader.__getitems__([1, 0])
    assert batch.targets["x"].tolist() == [[2 / 3], [1 / 3]]


def test_a_value_that_is_none_of_its_kind_is_named_by_its_sample() -> None:
    class Wrong(Boxed):
        def _values(self, index: int) -> dict[str, Any]:
            return {"boxes": torch.full((1, 4), -1.0 if index == 5 else 1.0)}

    reader = BatchReader(Wrong(8, lone=True), torch.stack, False, targets={"boxes": Boxes()}, name="val")
    error, _ = reader.__getitems__([4, 5, 6])
    assert isinstance(error, DataError)
    assert str(error) == "val, target 'boxes': sample 5 has a box below 0."
    skipping = BatchReader(Wrong(8, lone=True), torch.stack, True, targets={"boxes": Boxes()}, name="val")
    batch, unread = skipping.__getitems__([4, 5, 6])
    assert (batch.ids.tolist(), [index for index, _ in unread]) == ([4, 6], [5])


@pytest.mark.parametrize("lone", [False, True])
def test_inputs_that_are_kept_need_values_that_are_read_apart(lone: bool) -> None:
    split = Boxed(6, columns={"label": torch.arange(6) % 2}, lone=lone)
    assert reads_values(split, ["label"])
    assert reads_values(split, ["label", "boxes"]) != lone
    if lone:
        return
    kept = Content(torch.arange(6)[:, None] * 10, [])
    about: dict[str, Any] = {"key": "k", "embedded": False, "source": "s", "targets": ["boxes"]}
    mapped = MappedSplit(split, kept, lambda index: torch.zeros(1), **about)
    reader = BatchReader(mapped, identity, False, targets={"label": LABEL, "boxes": Boxes()})
    batch, _ = reader.__getitems__([4, 2])
    assert (batch.inputs.tolist(), batch.targets["label"].tolist()) == ([[40], [20]], [0, 0])
    assert batch.targets["boxes"].lengths.tolist() == [1, 2]
    raw, values = mapped[2]
    assert (raw.tolist(), values["boxes"].shape, int(values["label"])) == ([20], (2, 4), 0)
    assert values_at(Subset(mapped, torch.tensor([2])), 0)["boxes"].shape == (2, 4)


def test_other_data_of_a_kind_without_names_is_taken_where_it_is_the_same_kind() -> None:
    data = Splits(all=Boxed(5), targets={"boxes": Boxes()})
    aligned = align(data, {"boxes": Boxes()})
    assert aligned.all is not None
    assert aligned.all[2][1]["boxes"].shape == (2, 4)
    reader = BatchReader(aligned.all, torch.stack, False, targets={"boxes": Boxes()})
    assert reader.__getitems__([1, 2])[0].targets["boxes"].lengths.tolist() == [1, 2]

    class Wide(Boxes):
        width: int = 2

    with pytest.raises(DataError, match=r"is .*'width': 3.* in the run, and .*'width': 2"):
        align(Splits(all=Boxed(5), targets={"boxes": Wide()}), {"boxes": Wide(width=3)})


def test_classes_that_come_with_the_samples_are_matched_by_name() -> None:
    class Read(Boxed):
        def _values(self, index: int) -> dict[str, Any]:
            return {"label": index % 2}

    data = Splits(all=Read(4), targets={"label": Classes(names=("b", "a"))})
    aligned = align(data, {"label": LABEL})
    assert aligned.all is not None
    assert [int(aligned.all[index][1]["label"]) for index in range(4)] == [1, 0, 1, 0]


def test_data_without_targets_is_data() -> None:
    data = Splits(train=TensorSplit(torch.arange(20)[:, None]))
    done = splits.complete(data, val_fraction=0.25, seed=1)
    assert (len(done.training), len(done.val or ()), done.targets) == (15, 5, {})
    assert remarks(done) == []
    assert splits.with_missing(done) == set()
    assert fingerprint.of_targets(done.training) == fingerprint.of_targets(done.val)  # type: ignore[arg-type]
    batch, _ = BatchReader(done.training, identity, False).__getitems__([3, 1])
    assert (len(batch), batch.targets, batch.parts(1)[0].targets) == (2, {}, {})
    twice = splits.complete(data, val_fraction=0.25, seed=1)
    assert twice.val is not None
    assert torch.equal(twice.val.indices, done.val.indices)  # type: ignore[attr-defined, union-attr]


def test_data_to_be_judged_on_need_not_have_train() -> None:
    data = Splits(test=TensorSplit(torch.arange(4), {"label": torch.arange(4) % 2}), targets={"label": LABEL})
    splits.check_values(data)
    with pytest.raises(DataError, match="the data has no train split"):
        splits.complete(data, val_fraction=0.1, seed=0)
