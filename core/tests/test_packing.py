import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from ftrun import FtrunError
from ftrun.runs.packing import pack, unpack

TENSORS = st.builds(
    lambda shape, dtype, seed: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]),
    st.integers(0, 99),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, TENSORS)
STATES = st.recursive(
    LEAVES,
    lambda values: st.one_of(
        st.lists(values, max_size=4),
        st.dictionaries(TEXT.filter(lambda key: not key.startswith("$")), values, max_size=4),
    ),
    max_leaves=12,
)


def there_and_back(value: Any) -> Any:
    """As a checkpoint keeps it: JSON in UTF-8 and safetensors, both strict."""
    tensors: dict[str, torch.Tensor] = {}
    packed = json.dumps(pack(value, "state", tensors), allow_nan=False, ensure_ascii=False).encode()
    return unpack(json.loads(packed), load(save(tensors)))


def same(one: Any, other: Any) -> bool:
    """Equal in kind and to the bit; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return repr(one) == repr(other)
    return one == other


@given(STATES)
def test_any_state_comes_back_as_it_was(state):
    assert same(there_and_back(state), state)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 5e-324, 0.1 + 0.2])
def test_every_float_has_a_word(value):
    assert same(there_and_back([value]), [value])


def test_tensors_keep_what_is_not_finite():
    value = torch.tensor([math.nan, math.inf, -math.inf, -0.0])
    assert there_and_back(value).view(torch.int32).equal(value.view(torch.int32))


def test_tensors_are_named_by_their_place():
    tensors: dict[str, torch.Tensor] = {}
    packed = pack({"state": {"0": {"exp_avg": torch.ones(2)}}, "all": [torch.zeros(1)]}, "optimizer", tensors)
    assert sorted(tensors) == ["optimizer.all.0", "optimizer.state.0.exp_avg"]
    assert packed["all"] == [{"$tensor": "optimizer.all.0"}]


def test_places_that_read_alike_do_not_get_mixed_up():
    state = {"a": {"b": torch.zeros(1), "b.c": torch.ones(1)}, "a.b": torch.ones(2), "a.b.c": torch.ones(3)}
    assert same(there_and_back(state), state)


def test_a_tuple_comes_back_as_a_list():
    assert there_and_back({"betas": (0.9, 0.999)}) == {"betas": [0.9, 0.999]}


def test_a_tensor_in_any_memory_order_comes_back_in_the_plain_one():
    value = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert there_and_back(value).equal(value)
    assert there_and_back(value[:, 1].mT).equal(value[:, 1].mT)
    assert there_and_back(torch.ones(2, requires_grad=True)).requires_grad is False


@pytest.mark.parametrize("key", ["$tensor", "$float", "$$tensor", "$", "$price"])
def test_a_key_that_looks_like_one_of_ours_is_a_key(key):
    """A target may have such a name, and its figures are named after it."""
    value = {key: {key: 1.5}}
    assert unpack(json.loads(json.dumps(pack(value, "progress", {}))), {}) == value


@pytest.mark.parametrize(
    ("value", "where", "kind"),
    [
        ({"hyper": {"when": {1, 2}}}, "optimizer.hyper.when", "set"),
        ([1, b"bytes"], "optimizer.1", "bytes"),
        ({"by": {3: "number"}}, "optimizer.by", "dict"),
        ({"how": print}, "optimizer.how", "builtin_function_or_method"),
        ({"kind": torch.float32}, "optimizer.kind", "dtype"),
        ({"a": 1 + 2j}, "optimizer.a", "complex"),
        ({"a": {1: "theirs"}}, "optimizer.a", "dict"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_named(value, where, kind):
    with pytest.raises(FtrunError) as caught:
        pack(value, "optimizer", {})
    assert str(caught.value).startswith(f"{where} is a {kind}, which a checkpoint cannot hold")


def test_a_tensor_that_is_gone_is_an_error():
    with pytest.raises(KeyError, match=r"optimizer\.x"):
        unpack({"x": {"$tensor": "optimizer.x"}}, {})
