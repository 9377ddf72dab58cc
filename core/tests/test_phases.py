import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ftrun import Classes, Net, SpecError
from ftrun.spec.trainspec import Phase, Train
from ftrun.train.phases import Plan
from ftrun_inputs import ImageInput


class Deep(Net):
    def features(self, x):
        return self.model.late(self.model.middle(self.model.stem(x)))

    def pool(self, features):
        return features.mean((2, 3))


def deep() -> Deep:
    """Three stages and the head, each with what behaves differently in training; dropout belongs to no stage."""
    model = nn.Module()
    model.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model.middle = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model.late = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    model.dropout = nn.Dropout(0.5)
    model.head = nn.Linear(4, 1000)
    stages = {"stem": ["stem"], "middle": ["middle"], "late": ["late"]}
    net = Deep(model, input=ImageInput(size=(8, 8)), num_features=4, head_path="head", stages=stages)
    net.set_targets({"label": Classes(names=("a", "b"))})
    return net


def plan(net: Net, *phases: Phase, epochs: int = 10) -> Plan:
    return Plan(net, Train(phases=phases) if phases else Train(epochs=epochs))


def learning(net: Net) -> list[str]:
    """The stages whose parameters all have a gradient; the others must have none at all."""
    found = []
    for stage, names in net.stages.items():
        wanted = {net.get_parameter(name).requires_grad for name in names}
        assert len(wanted) == 1, f"{stage} is frozen in part"
        found += [stage] if wanted == {True} else []
    return found


def grouped(net: Net, made: Plan) -> list[list[str]]:
    """The stages of each parameter group."""
    place = {id(net.get_parameter(name)): stage for stage, names in net.stages.items() for name in names}
    return [list(dict.fromkeys(place[id(each)] for each in group["params"])) for group in made.parameter_groups(net)]


def test_without_phases_everything_learns_in_one_group():
    net = deep()
    made = plan(net)
    assert grouped(net, made) == [["stem", "middle", "late", "head"]]
    assert made.enter_epoch(net, 1) == made.enter_epoch(net, 10) == [1.0]
    assert learning(net) == ["stem", "middle", "late", "head"]


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        (None, ["stem", "middle", "late", "head"]),
        ("stem", ["middle", "late", "head"]),
        ("middle", ["late", "head"]),
        ("late", ["head"]),
        ("features", ["head"]),
    ],
)
def test_a_stage_is_frozen_with_all_before_it(freeze, expected):
    net = deep()
    plan(net, Phase(epochs=1, freeze=freeze)).enter_epoch(net, 1)
    assert learning(net) == expected


def test_each_epoch_is_in_its_phase():
    net = deep()
    made = plan(net, Phase(epochs=2, freeze="features"), Phase(epochs=1, freeze="stem"), Phase(epochs=3))
    frozen = {}
    for epoch in (1, 2, 3, 4, 6, 7):
        made.enter_epoch(net, epoch)
        frozen[epoch] = 4 - len(learning(net))
    assert frozen == {1: 3, 2: 3, 3: 1, 4: 0, 6: 0, 7: 0}, "what comes after the last phase belongs to it"


def test_a_phase_does_not_depend_on_those_before_it():
    """A resumed run begins in the middle."""
    phases = Phase(epochs=1, freeze="features"), Phase(epochs=1, freeze="stem", layer_decay=0.5)
    straight, resumed = deep(), deep()
    made = plan(straight, *phases)
    made.enter_epoch(straight, 1)
    rates = made.enter_epoch(straight, 2)
    assert plan(resumed, *phases).enter_epoch(resumed, 2) == rates
    assert learning(resumed) == learning(straight)


def test_layer_decay_lowers_the_rate_from_stage_to_stage():
    net = deep()
    made = plan(net, Phase(epochs=1, lr_scale=0.1, layer_decay=0.5))
    assert grouped(net, made) == [["stem"], ["middle"], ["late"], ["head"]]
    assert made.enter_epoch(net, 1) == pytest.approx([0.1 / 8, 0.1 / 4, 0.1 / 2, 0.1])


def test_groups_are_shared_by_stages_that_always_learn_alike():
    net = deep()
    made = plan(net, Phase(epochs=1, freeze="stem"), Phase(epochs=1, lr_scale=0.1))
    assert grouped(net, made) == [["stem"], ["middle", "late", "head"]]
    assert (made.enter_epoch(net, 1), made.enter_epoch(net, 2)) == ([1.0, 1.0], [0.1, 0.1])
    alike = plan(net, Phase(epochs=1), Phase(epochs=1, lr_scale=0.1))
    assert grouped(net, alike) == [["stem", "middle", "late", "head"]]
    apart = plan(net, Phase(epochs=1, freeze="features"), Phase(epochs=1, layer_decay=0.5))
    assert (apart.enter_epoch(net, 1), apart.enter_epoch(net, 2)) == ([1.0] * 4, [0.125, 0.25, 0.5, 1.0])


def test_vectors_have_groups_of_their_own_where_decay_is_not_for_them():
    net, train = deep(), Train(phases=(Phase(epochs=1, freeze="stem"), Phase(epochs=1, layer_decay=0.5)))
    bias = nn.Parameter(torch.zeros(2))
    spared = {"weight_decay": 0.0}
    alike = Plan(net, train, [bias])
    apart = Plan(net, train, [bias], options=lambda each: spared if len(each.shape) < 2 else {})
    groups = apart.parameter_groups(net)
    assert [group.get("weight_decay") for group in groups] == [None, 0.0] * 4 + [0.0]
    for group in groups:
        assert {each.ndim > 1 for each in group["params"]} == {"weight_decay" not in group}
    for epoch in (1, 2):
        rates, each_twice = alike.enter_epoch(net, epoch), apart.enter_epoch(net, epoch)
        assert each_twice == [*(rate for rate in rates[:-1] for _ in range(2)), rates[-1]]
    learning = [parameter for group in groups for parameter in group["params"]]
    assert {*map(id, learning)} == {*map(id, net.parameters()), id(bias)}
    assert len(learning) == len(set(map(id, learning)))


def test_an_optimizer_is_asked_for_each_parameter_once():
    net, asked = deep(), []
    net.model.middle.append(nn.Embedding(3, 4))
    Plan(net, Train(epochs=1), options=lambda each: asked.append(each) or {})
    found = {each.name: each for each in asked}
    assert sorted(found) == sorted(name for name, _ in net.named_parameters())
    assert len(asked) == len(found)
    assert [name for name, each in found.items() if each.in_head] == ["model.head.weight", "model.head.bias"]
    assert [name for name, each in found.items() if each.embeds] == ["model.middle.3.weight"]
    assert found["model.head.weight"].shape == tuple(net.model.head.weight.shape)


@pytest.mark.parametrize("decay", [0.5, 1.0])
def test_every_parameter_is_in_one_group(decay):
    net = deep()
    groups = plan(net, Phase(epochs=1, layer_decay=decay)).parameter_groups(net)
    listed = [id(each) for group in groups for each in group["params"]]
    assert sorted(listed) == sorted(id(each) for each in net.parameters())


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("midle", "'midle' is no stage that can be frozen. Did you mean 'middle'?"),
        ("head", "'head' is no stage that can be frozen."),
        ("", "'' is no stage that can be frozen. Stages"),
    ],
)
def test_a_stage_that_there_is_not_is_named_with_those_that_there_are(freeze, message):
    with pytest.raises(SpecError) as caught:
        plan(deep(), Phase(epochs=1), Phase(epochs=1, freeze=freeze))
    assert str(caught.value).startswith(f"train.phases.1.freeze: {message}")
    assert str(caught.value).endswith("Stages of this backbone: stem, middle, late; features is all of them.")


def test_frozen_stages_change_in_nothing():
    """Not by batch normalisation's statistics, either, and their dropout is off."""
    net = deep()
    net.freeze(["stem", "middle"])
    net.train()
    before = {name: value.clone() for name, value in net.model.state_dict().items()}
    x = torch.randn(8, 3, 8, 8)
    net.head(net.embed(x)).sum().backward()
    changed = {name for name, value in net.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"late.1.running_mean", "late.1.running_var", "late.1.num_batches_tracked"}
    with_gradient = {name for name, each in net.model.named_parameters() if each.grad is not None}
    assert with_gradient == {"late.0.weight", "late.0.bias", "late.1.weight", "late.1.bias", "head.weight", "head.bias"}
    assert torch.equal(net.model.middle(net.model.stem(x)), net.model.middle(net.model.stem(x)))


def test_training_mode_is_for_what_is_not_frozen():
    net = deep()
    net.eval()
    net.freeze(["stem"])
    assert not net.model.late[1].training, "freezing is no reason to train"
    net.train()
    modes = [net.model.stem[1].training, net.model.middle[2].training, net.model.dropout.training, net.model.training]
    assert modes == [False, True, True, True]
    net.eval()
    assert not any(module.training for module in net.modules())


def test_what_was_frozen_learns_again():
    net = deep()
    net.freeze(["stem", "middle", "late"])
    net.train()
    net.freeze([])
    assert learning(net) == ["stem", "middle", "late", "head"]
    assert all(module.training for module in net.weights.modules())


def test_freezing_many_stages_lists_the_parameters_no_more_often_than_freezing_one(monkeypatch):
    listed = []
    original = nn.Module.named_parameters
    monkeypatch.setattr(nn.Module, "named_parameters", lambda self, **how: listed.append(1) or original(self, **how))
    counts = []
    for stages in (["stem"], ["stem", "middle", "late"]):
        listed.clear()
        deep().freeze(stages)
        counts.append(len(listed))
    assert counts[0] == counts[1]


def test_what_a_modifier_took_the_gradient_from_stays_without():
    net = deep()
    net.model.late[0].weight.requires_grad_(False)
    for stages in (["stem"], ["late"], []):
        net.freeze(stages)
        assert not net.model.late[0].weight.requires_grad
    assert net.model.late[0].bias.requires_grad


def test_phases_say_how_long_a_run_is():
    two = (Phase(epochs=2, freeze="features"), Phase(epochs=3))
    assert Train(phases=two).epochs == Train(phases=two, epochs=5).epochs == 5
    with pytest.raises(ValidationError, match="epochs is 6, but the phases make 5; leave epochs out"):
        Train(phases=two, epochs=6)


def test_the_last_phase_grows_where_a_run_is_extended():
    longer = Train(phases=(Phase(epochs=2, freeze="features"), Phase(epochs=3, lr_scale=0.5))).extended(9)
    assert longer.epochs == 9
    assert longer.phases == (Phase(epochs=2, freeze="features"), Phase(epochs=7, lr_scale=0.5))
    assert Train(epochs=3).extended(4) == Train(epochs=4)


def test_the_rate_rises_again_where_a_phase_begins():
    phases = Phase(epochs=2, freeze="features"), Phase(epochs=1), Phase(epochs=2)
    train = Train(phases=phases)
    factors = [train.course(6).warm_up(step) for step in range(30)]
    risen = {12: 0.25, 13: 0.5, 14: 0.75, 18: 0.25, 19: 0.5, 20: 0.75}
    assert factors == [risen.get(step, 1.0) for step in range(30)]
    assert train.extended(99).course(6).warm_up(19) == 0.5, "a longer run rises in the same steps"
    assert [train.course(1).warm_up(step) for step in range(5)] == [1.0] * 5
    assert [train.course(10_000).warm_up(step) for step in (20_000, 20_100)] == [1 / 101, 1.0]
    assert Train(epochs=9).course(100).warm_up(0) == 1.0


def test_the_schedule_is_one_of_the_run_unless_a_phase_restarts_it():
    kinds = Phase(epochs=2, freeze="features"), Phase(epochs=1), Phase(epochs=4)
    whole = [Train(phases=kinds).course(6).schedule_progress(step) for step in range(42)]
    assert (
        whole
        == [Train(epochs=7).course(6).schedule_progress(step) for step in range(42)]
        == [i / 42 for i in range(42)]
    )
    restarted = Train(phases=(kinds[0], kinds[1], Phase(epochs=4, restart=True)))
    progress = [restarted.course(6).schedule_progress(step) for step in range(42)]
    assert progress == [i / 18 for i in range(18)] + [i / 24 for i in range(24)]
    assert restarted.extended(9).course(6).schedule_progress(30) == 12 / 36, "what comes after the last restart grows"
    first = Train(phases=(Phase(epochs=2, restart=True), Phase(epochs=1)))
    assert first.course(6).schedule_progress(9) == 0.5, "the run begins anyway"


def test_a_rate_is_the_schedule_s_times_the_rise_where_a_phase_begins():
    train = Train(phases=(Phase(epochs=2, freeze="features"), Phase(epochs=2, restart=True)))
    factors = [train.course(6).rate_factor(lambda progress: 1 - progress, step) for step in range(24)]
    assert factors[:12] == [1 - i / 12 for i in range(12)]
    assert factors[12:16] == [0.25, (1 - 1 / 12) * 0.5, (1 - 2 / 12) * 0.75, 1 - 3 / 12]


def test_the_plan_s_table_shows_where_the_schedule_begins_anew():
    made = plan(deep(), Phase(epochs=1, freeze="features"), Phase(epochs=2, restart=True), Phase(epochs=1))
    assert made.table(deep(), 0.1)[-1] == ["schedule", "", "begins", "begins", "goes on"]
