"""Optimizers against the textbook and themselves; schedulers as functions."""

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import ftrun
from ftrun_optim import LAMB, SGD, Adam, AdamW, Constant, Cosine, Linear, Muon, OneCycle, Polynomial, Step, muon

OPTIMIZERS = [
    SGD(name="sgd", lr=0.05, weight_decay=0.1),
    SGD(name="sgd", lr=0.05, nesterov=True),
    SGD(name="sgd", lr=0.05, momentum=0),
    Adam(name="adam", lr=0.05, weight_decay=0.1),
    AdamW(name="adamw", lr=0.05, betas=(0.8, 0.99)),
]


DECAYED = [
    SGD(name="sgd", lr=0.05, weight_decay=0.1),
    Adam(name="adam", lr=0.05, weight_decay=0.1),
    AdamW(name="adamw", lr=0.05, weight_decay=0.1),
    LAMB(name="lamb", lr=0.05, weight_decay=0.1),
    Muon(name="muon", lr=0.05, weight_decay=0.1),
]


def ids(part: Any) -> str:
    return f"{part.name}-{part.model_dump(exclude={'name'})}"


def weights() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((300, 400), (7,), (5, 3, 3))
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def descend(optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Some steps down a bowl that is not round."""
    for _ in range(steps):
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            for power, parameter in enumerate(group["params"], start=1):
                (power * (parameter - 1).square().mean() + parameter.sin().sum()).backward()
        optimizer.step()


def test_one_step_of_plain_descent_is_the_textbook_s() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = SGD(name="sgd", lr=0.5, momentum=0).build([parameter])
    parameter.grad = torch.tensor([0.2, 0.4])
    optimizer.step()
    torch.testing.assert_close(parameter.data, torch.tensor([0.9, -2.2]))


def test_momentum_adds_up_and_decay_enters_the_gradient() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = SGD(name="sgd", lr=0.1, momentum=0.9, weight_decay=0.5).build([parameter])
    velocity, weight = 0.0, 1.0
    for _ in range(3):
        parameter.grad = torch.tensor([1.0])
        optimizer.step()
        velocity = 0.9 * velocity + 1.0 + 0.5 * weight
        weight -= 0.1 * velocity
    assert parameter.item() == pytest.approx(weight)


def test_adam_s_first_step_is_the_learning_rate() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = Adam(name="adam", lr=0.01).build([parameter])
    parameter.grad = torch.tensor([1000.0, -0.001])
    optimizer.step()
    torch.testing.assert_close(parameter.data, torch.tensor([0.99, 1.01]))


def test_adamw_decays_apart_from_the_gradient() -> None:
    parameter = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = AdamW(name="adamw", lr=0.1, weight_decay=0.5).build([parameter])
    parameter.grad = torch.zeros(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(2 * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("part", OPTIMIZERS, ids=ids)
def test_fused_agrees_with_the_plain_loop(part: Any) -> None:
    options = part.model_dump(exclude={"name", "decay_all", "decay_to"})
    fused, plain = weights(), weights()
    descend(part.build(fused), 5)
    descend(getattr(torch.optim, type(part).__name__)(plain, **options, foreach=False, fused=False), 5)
    for one, other in zip(fused, plain, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("part", OPTIMIZERS, ids=ids)
@pytest.mark.parametrize("gradients", [torch.channels_last, torch.contiguous_format], ids=str)
def test_weights_that_are_channels_last_learn_the_same(part: Any, gradients: torch.memory_format) -> None:
    options = part.model_dump(exclude={"name", "decay_all", "decay_to"})
    generator = torch.Generator().manual_seed(0)
    fused, plain = (
        [torch.nn.Parameter(torch.ones(4, 3, 3, 3).to(memory_format=torch.channels_last)) for _ in range(2)]
        for _ in range(2)
    )
    ours = part.build(fused)
    theirs = getattr(torch.optim, type(part).__name__)(plain, **options, foreach=False, fused=False)
    for learning in ([0], [0, 1], [0, 1]):  # the second has no gradient in the first step
        for index in learning:
            gradient = torch.randn(4, 3, 3, 3, generator=generator)
            fused[index].grad = gradient.to(memory_format=gradients)
            plain[index].grad = gradient.clone()
        ours.step()
        theirs.step()
        for one, other in zip(fused, plain, strict=True):
            torch.testing.assert_close(one, other)
            assert one.stride() == other.stride()


def test_no_gradient_is_copied_before_a_step() -> None:
    for part in OPTIMIZERS:
        weight = torch.nn.Parameter(torch.ones(8, 8, 3, 3).to(memory_format=torch.channels_last))
        optimizer = part.build([weight])
        weight.grad = torch.ones_like(weight)
        with torch.profiler.profile() as seen:
            optimizer.step()
        assert "aten::clone" not in {each.key for each in seen.key_averages()}


@pytest.mark.parametrize("part", OPTIMIZERS, ids=ids)
def test_the_same_steps_give_the_same_bits_at_any_number_of_threads(part: Any) -> None:
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        try:
            results.append(weights())
            descend(part.build(results[-1]), 3)
        finally:
            torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("part", [*OPTIMIZERS, *DECAYED[3:]], ids=ids)
def test_goes_on_from_its_state_bit_for_bit(part: Any) -> None:
    whole, halves = weights(), weights()
    descend(part.build(whole), 4)
    first = part.build(halves)
    descend(first, 2)
    second = part.build(halves)
    second.load_state_dict(first.state_dict())
    descend(second, 2)
    for one, other in zip(whole, halves, strict=True):
        assert torch.equal(one, other)


def matrices(seed: int = 0, decay: float = 0.1) -> list[dict[str, Any]]:
    """Groups of two matrices and a kernel, and of vectors, which do not decay."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((12, 20), (20, 12), (6, 4, 3, 3)), ((7,), (12,))
    first, second = ([torch.nn.Parameter(torch.randn(s, generator=generator)) for s in each] for each in shapes)
    return [{"params": first, "weight_decay": decay}, {"params": second, "weight_decay": 0.0}]


def every(groups: list[dict[str, Any]]) -> list[torch.nn.Parameter]:
    return [parameter for group in groups for parameter in group["params"]]


@pytest.mark.parametrize("seed", range(3))
def test_lamb_is_that_of_timm(seed: int) -> None:
    lamb = pytest.importorskip("timm.optim").Lamb
    ours, theirs = matrices(seed), matrices(seed)
    descend(LAMB(name="lamb", lr=0.05, betas=(0.8, 0.99)).build(ours), 6)
    descend(lamb(theirs, lr=0.05, betas=(0.8, 0.99), max_grad_norm=None), 6)
    for one, other in zip(every(ours), every(theirs), strict=True):
        torch.testing.assert_close(one, other)


def test_lamb_is_the_formula_of_its_paper() -> None:
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimizer = LAMB(name="lamb", lr=0.1, weight_decay=0.0).build([weight])
    weight.grad = torch.tensor([[2.0, -0.5]])
    optimizer.step()  # Adam's first step is the sign, whose length is the root of 2; the weight's is 5
    expected = torch.tensor([[3 - 0.1 * 5 / 2**0.5, 4 + 0.1 * 5 / 2**0.5]])
    torch.testing.assert_close(weight.data, expected)


def in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    original = muon.orthogonal
    monkeypatch.setattr(muon, "orthogonal", lambda matrix: original(matrix, torch.bfloat16))


@pytest.mark.parametrize("seed", range(3))
def test_muon_is_that_of_torch(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On matrices, and AdamW on the rest."""
    in_bfloat16(monkeypatch)
    ours, theirs = matrices(seed), matrices(seed)
    del ours[0]["params"][2], theirs[0]["params"][2]  # torch's takes no kernels
    options = {"lr": 0.05, "weight_decay": 0.1}
    descend(Muon(name="muon", **options).build([{**ours[0], "muon": True}, ours[1]]), 6)
    descend(torch.optim.Muon(theirs[0]["params"], adjust_lr_fn="match_rms_adamw", **options), 6)
    descend(torch.optim.AdamW(theirs[1]["params"], lr=0.05, weight_decay=0.0), 6)
    for one, other in zip(every(ours), every(theirs), strict=True):
        torch.testing.assert_close(one, other)


def test_muon_takes_kernels_as_timm_does(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs_is = pytest.importorskip("timm.optim").Muon
    in_bfloat16(monkeypatch)
    ours, theirs = matrices(), matrices()
    options = {"lr": 0.05, "weight_decay": 0.1}
    descend(Muon(name="muon", **options).build([{**ours[0], "muon": True}, ours[1]]), 1)
    rules = {"adjust_lr_fn": "match_rms_adamw", "nesterov": True, "ns_coefficients": (3.4445, -4.775, 2.0315)}
    descend(theirs_is(theirs[0]["params"], momentum=0.95, **options, **rules), 1)
    for one, other in zip(every(ours[:1]), every(theirs[:1]), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


@pytest.mark.parametrize("shape", [(4, 4), (5, 40), (40, 5)])
def test_what_muon_makes_orthogonal_has_singular_values_of_about_one(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    made = muon.orthogonal(matrix)
    assert made.shape == matrix.shape
    turned = u.T @ made @ v.T  # the same directions
    assert (turned - torch.diag(turned.diag())).abs().max() < 1e-3
    assert ((turned.diag() > 0.5) & (turned.diag() < 1.3)).all()
    assert not muon.orthogonal(torch.zeros(shape)).any()


def drawn_to_the_start(part: Any, groups: list[dict[str, Any]]) -> Any:
    extra = {"muon": True} if part.name == "muon" else {}
    return part.build([{**groups[0], "to_start": True, **extra}, groups[1]])


@pytest.mark.parametrize("part", DECAYED, ids=ids)
def test_decay_to_the_start_is_decay_of_the_way_gone(part: Any) -> None:
    """Of weights less where they started: with gradients that do not ask, they are the weights of a run from zero."""
    gone, whole = matrices(), matrices()
    before = [each.detach().clone() for each in every(gone)]
    with torch.no_grad():
        for each in every(whole)[:3]:
            each.zero_()
    ours, theirs = drawn_to_the_start(part, gone), part.build([{**whole[0], "muon": part.name == "muon"}, whole[1]])
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        for one, other in zip(every(gone), every(whole), strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    if part.name == "lamb":  # which goes by the length of the weights themselves
        assert not torch.equal(every(gone)[0], before[0])
        return
    for one, other, start in zip(every(gone)[:3], every(whole)[:3], before, strict=False):
        torch.testing.assert_close(one - start, other.data, atol=1e-5, rtol=1e-4)


def test_lamb_to_the_start_takes_the_way_gone_into_its_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    options = {"lr": 0.1, "weight_decay": 0.5, "betas": (0.0, 0.0)}
    optimizer = LAMB(name="lamb", **options).build([{"params": [weight], "to_start": True}])
    weight.grad = torch.tensor([[1.0, 1.0]])
    optimizer.step()
    now = weight.detach().clone()
    optimizer.step()
    update = 1 + 0.5 * (now - torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(weight.data, now - 0.1 * update * now.norm() / update.norm())


@pytest.mark.parametrize("part", DECAYED, ids=ids)
def test_where_it_started_is_in_the_state(part: Any) -> None:
    whole, halves = matrices(), matrices()
    descend(drawn_to_the_start(part, whole), 4)
    first = drawn_to_the_start(part, halves)
    descend(first, 2)
    second = drawn_to_the_start(part, halves)
    second.load_state_dict(first.state_dict())
    descend(second, 2)
    for one, other in zip(every(whole), every(halves), strict=True):
        assert torch.equal(one, other)


def test_parameter_groups_keep_their_own_learning_rate() -> None:
    first, second, *_ = weights()
    optimizer = AdamW(name="adamw", lr=0.2).build([{"params": [first], "lr": 0.3}, {"params": [second]}])
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.2]


def about(
    *shape: int, name: str = "model.0.weight", in_head: bool = False, embeds: bool = False
) -> ftrun.ParameterInfo:
    return ftrun.ParameterInfo(name, shape, in_head, embeds)


@pytest.mark.parametrize("part", [SGD, Adam, AdamW, LAMB])
def test_decay_spares_biases_and_norms_unless_it_is_for_all_or_there_is_none(part: Any) -> None:
    name = part.model_fields["name"].annotation.__args__[0]
    matrix, vector, head = about(8, 8), about(8), about(8, 8, in_head=True)
    spared = part(name=name, weight_decay=0.1)
    assert [spared.group_options(each) for each in (matrix, vector, head)] == [{}, {"weight_decay": 0.0}, {}]
    for alike in (
        part(name=name, weight_decay=0.1, decay_all=True),
        part(name=name, weight_decay=0.0, decay_to="start"),
    ):
        assert [alike.group_options(each) for each in (matrix, vector, head)] == [{}, {}, {}], "one group is quicker"
    to_start = part(name=name, weight_decay=0.1, decay_to="start")
    options = [to_start.group_options(each) for each in (matrix, vector, head)]
    assert options == [{"to_start": True}, {"weight_decay": 0.0}, {}]


def test_muon_is_for_matrices_inside_the_net() -> None:
    part = Muon(name="muon", weight_decay=0.0)
    for inside in (about(16, 16), about(8, 4, 3, 3), about(9, 3, name="model.attention.in_proj_weight")):
        expected = {"muon": True} if inside.shape != (9, 3) else {}
        assert part.group_options(inside) == expected
    outside = [
        about(8, 16, in_head=True),
        about(100, 16, embeds=True),
        about(8, 16, name="model.table"),
        about(8, 1, 3, 3),  # depthwise
        about(1, 8, 16),
        about(2000, 8),
        about(16),
    ]
    assert [part.group_options(each) for each in outside] == [{}] * len(outside)


def test_a_parameter_without_gradient_stays() -> None:
    used, frozen, *_ = weights()
    before = frozen.detach().clone()
    optimizer = SGD(name="sgd", weight_decay=0.1).build([used, frozen])
    used.sum().backward()
    optimizer.step()
    assert torch.equal(frozen, before)


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (SGD, {"lr": 0}),
        (SGD, {"momentum": 1}),
        (SGD, {"momentun": 0.9}),
        (SGD, {"nesterov": True, "momentum": 0}),
        (Adam, {"betas": [0.9, 1.0]}),
        (AdamW, {"weight_decay": -0.1}),
        (Cosine, {"warmup": 1}),
        (Cosine, {"floor": 1.5}),
        (OneCycle, {"start": -0.1}),
        (Polynomial, {"power": 0}),
        (Step, {"milestones": []}),
        (Step, {"milestones": [0.5, 0.5]}),
        (Step, {"milestones": [0.75, 0.5]}),
        (Step, {"milestones": [1.0]}),
        (Step, {"factor": 0}),
    ],
)
def test_senseless_options_are_refused(part: Any, options: dict[str, Any]) -> None:
    name = part.model_fields["name"].annotation.__args__[0]
    with pytest.raises(ValidationError):
        part.model_validate_json(json.dumps({"name": name, **options}))


def test_constant_is_one() -> None:
    factor = Constant(name="constant").build()
    assert [factor(progress) for progress in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_cosine_goes_from_one_over_the_middle_to_the_floor() -> None:
    factor = Cosine(name="cosine", floor=0.2).build()
    assert [factor(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])


def test_warm_up_rises_linearly_and_the_cosine_takes_the_rest_of_the_run() -> None:
    factor = Cosine(name="cosine", warmup=0.2).build()
    assert factor(0.0) == pytest.approx(0.01)
    assert factor(0.1) == pytest.approx(0.505)
    assert factor(0.2) == pytest.approx(1.0)
    assert factor(0.6) == pytest.approx(0.5)
    assert factor(1.0) == pytest.approx(0.0, abs=1e-12)


unit = st.floats(0, 1)


@given(
    part=st.sampled_from([Cosine, Linear, OneCycle, Polynomial]),
    warmup=st.floats(0, 0.99),
    floor=unit,
    first=unit,
    second=unit,
)
def test_what_falls_stays_in_bounds_and_turns_once(
    part: Any, warmup: float, floor: float, first: float, second: float
) -> None:
    factor = part(name=part.model_fields["name"].annotation.__args__[0], warmup=warmup, floor=floor).build()
    earlier, later = sorted((first, second))
    assert min(0.01, floor) - 1e-9 <= factor(earlier) <= 1 + 1e-9
    if later < warmup:
        assert factor(earlier) <= factor(later) + 1e-9
    if earlier >= warmup:
        assert factor(earlier) >= factor(later) - 1e-9
        assert factor(later) >= floor - 1e-9


def test_linear_and_polynomial_are_powers_of_what_is_left() -> None:
    straight, bent = Linear(name="linear").build(), Polynomial(name="polynomial", power=2, floor=0.1).build()
    assert [straight(progress) for progress in (0.0, 0.25, 1.0)] == [1.0, 0.75, 0.0]
    assert [bent(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.1 + 0.9 / 4, 0.1])


@given(progress=unit, warmup=st.floats(0.01, 0.9), start=unit, floor=unit)
def test_one_cycle_is_that_of_fastai(progress: float, warmup: float, start: float, floor: float) -> None:
    """`combined_cos(pct, start, middle, end)` of fastai.callback.schedule."""

    def annealed(begin: float, end: float, position: float) -> float:
        return begin + (1 + math.cos(math.pi * (1 - position))) * (end - begin) / 2

    if progress < warmup:
        expected = annealed(start, 1, progress / warmup)
    else:
        expected = annealed(1, floor, (progress - warmup) / (1 - warmup))
    factor = OneCycle(name="one-cycle", warmup=warmup, start=start, floor=floor).build()
    assert factor(progress) == pytest.approx(expected, abs=1e-12)


def test_step_drops_at_each_milestone_and_not_before() -> None:
    factor = Step(name="step", milestones=(0.5, 0.75), factor=0.1).build()
    just_before = math.nextafter(0.5, 0)
    assert [factor(p) for p in (0.0, just_before, 0.5, 0.74, 0.75, 1.0)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
