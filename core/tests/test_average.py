from copy import deepcopy

import pytest
import torch
from torch import nn

from ftrun import Classes, Net, StepInfo
from ftrun.spec.trainspec import EMA, SWA
from ftrun.train.average import Average
from ftrun_inputs import ImageInput


def ema(decay: float) -> EMA:
    return EMA(name="ema", decay=decay)


def after(step: int, of: int = 100) -> StepInfo:
    return StepInfo(0, 1, step, step / of, training=True)


class Small(Net):
    def features(self, x):
        return self.model[:2](x)

    def pool(self, features):
        return features.mean((2, 3))


def small() -> Small:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 1000))
    net = Small(model, input=ImageInput(size=(8, 8)), num_features=4, head_path="2", stages={"all": ["0", "1"]})
    net.set_targets({"label": Classes(names=("a", "b"))})
    return net


@torch.no_grad()
def move(net: Net, step: int) -> dict[str, torch.Tensor]:
    """Other weights, statistics and counts; a copy of all of them."""
    for tensor in (*net.model.parameters(), *net.model.buffers()):
        tensor.add_(torch.randn_like(tensor) if tensor.is_floating_point() else step)
    return {name: value.clone() for name, value in net.model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_the_average_is_what_the_formula_says(decay):
    net = small()
    average = Average(net, ema(decay))
    expected = {name: value.clone() for name, value in net.model.state_dict().items()}
    for step in range(1, 30):
        now = move(net, step)
        average.update(after(step))
        keep = min(decay, (1 + step) / (10 + step))
        for name, value in now.items():
            expected[name] = keep * expected[name] + (1 - keep) * value if value.is_floating_point() else value
    found = average.net.model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5)
    assert found["1.num_batches_tracked"] == sum(range(1, 30)), "a count has no average: it is the latest"
    assert found["1.running_mean"].abs().sum() > 0


def test_the_first_steps_weigh_more_than_the_decay_says():
    net = small()
    average = Average(net, ema(0.999))
    now = move(net, 1)
    average.update(after(0))
    assert (average.net.model.state_dict()["0.bias"] - now["0.bias"]).abs().max() < 0.5


def test_the_average_has_tensors_of_its_own_without_gradient():
    net = small()
    average = Average(net, ema(0.9))
    assert not any(each.requires_grad for each in average.net.parameters())
    assert all(each.requires_grad for each in net.parameters())
    own = {each.data_ptr() for each in (*net.parameters(), *net.buffers())}
    assert not own & {each.data_ptr() for each in (*average.net.parameters(), *average.net.buffers())}


def test_averaging_leaves_the_net_alone():
    net = small()
    average = Average(net, ema(0.5))
    before = move(net, 1)
    average.update(after(1))
    assert all(torch.equal(value, before[name]) for name, value in net.model.state_dict().items())


def test_the_state_comes_back_whole():
    net = small()
    average, other = Average(net, ema(0.9)), Average(deepcopy(net), ema(0.9))
    move(net, 3)
    average.update(after(3))
    state = {name: value.clone() for name, value in average.state()["weights"].items()}
    assert state.keys() == net.weights.state_dict().keys()
    other.load_state({"count": 0, "weights": state})
    assert all(torch.equal(value, state[name]) for name, value in other.net.weights.state_dict().items())
    assert all(torch.equal(value, other.state()["weights"][name]) for name, value in state.items())


def test_starting_anew_forgets_what_was():
    net = small()
    average = Average(net, ema(0.9))
    move(net, 3)
    average.start()
    assert all(torch.equal(value, net.weights.state_dict()[name]) for name, value in average.state()["weights"].items())


def test_a_layer_may_put_another_tensor_in_a_buffers_place_and_layers_may_share_weights():
    net = small()
    net.model.add_module("again", net.model[0])
    average = Average(net, ema(0.5))
    shared = net.model[0].weight
    before = shared.detach().clone()
    with torch.no_grad():
        shared += 1
    net.model[1].running_mean = torch.full((4,), 2.0)
    average.update(after(0))
    assert torch.allclose(average.state()["weights"]["model.0.weight"], before + 0.9), "what is shared is averaged once"
    assert torch.allclose(average.state()["weights"]["model.1.running_mean"], torch.full((4,), 1.8))


def test_a_state_with_a_tensor_missing_is_refused():
    average = Average(small(), ema(0.9))
    state = average.state()
    del state["weights"]["model.1.running_var"]
    with pytest.raises(KeyError, match="running_var"):
        Average(small(), ema(0.9)).load_state(state)


@pytest.mark.parametrize("count", [-1, "2", None, 1.5])
def test_a_state_of_a_count_that_is_none_is_refused(count):
    average = Average(small(), SWA(name="swa"))
    with pytest.raises(ValueError, match="steps are in the average"):
        average.load_state({**average.state(), "count": count})


@pytest.mark.parametrize(("last", "first"), [(0.25, 75), (0.5, 50), (1.0, 0), (0.001, 100)])
def test_swa_is_the_plain_mean_over_the_last_part_of_the_run(last, first):
    net = small()
    average, seen = Average(net, SWA(name="swa", last=last)), []
    for step in range(100):
        seen.append(move(net, step))
        average.update(after(step))
        if step < first:
            assert all(torch.equal(value, seen[-1][name]) for name, value in average.net.model.state_dict().items())
    assert average.count == 100 - first
    for name, value in average.net.model.state_dict().items():
        if value.is_floating_point() and first < 100:
            mean = torch.stack([each[name].double() for each in seen[first:]]).mean(0)
            torch.testing.assert_close(value.double(), mean, atol=1e-5, rtol=1e-5)
        else:
            assert torch.equal(value, seen[-1][name])


def test_what_stays_as_it_is_stays_to_the_bit():
    """So a frozen backbone's embeddings are those of its average too."""
    net = small()
    for spec in (SWA(name="swa", last=1), ema(0.9)):
        average = Average(net, spec)
        for step in range(50):
            average.update(after(step))
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in average.net.state_dict().items())


def test_a_run_that_is_made_longer_averages_its_new_end():
    net = small()
    average = Average(net, SWA(name="swa", last=0.5))
    for step in range(10):
        move(net, step)
        average.update(after(step, of=10))
    now = move(net, 10)
    average.update(after(10, of=40))
    assert average.count == 0
    assert all(torch.equal(value, now[name]) for name, value in average.net.model.state_dict().items())
