"""The state of a metric: forgotten, added up, and where it lies."""

import pytest
import torch
import warm

import ftrun
import ftrun_metrics
from ftrun_metrics.counts import Top
from ftrun_metrics.r2 import R2Score

LOGITS, LABELS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]), torch.tensor([0, 1])


def test_what_is_reset_has_seen_nothing():
    metric, fresh = Top(1), Top(1)
    metric.update(LOGITS, LABELS)
    metric.reset()
    assert metric.samples == 0
    metric.update(LOGITS, LABELS)
    fresh.update(LOGITS, LABELS)
    assert metric.compute() == fresh.compute() == 0.5
    assert fresh.samples == Top(1).samples + 2  # the empty state is nobody's to add to


@pytest.mark.parametrize("count", [0, 1, 3, 7])
@pytest.mark.parametrize("part", ftrun_metrics.ftrun_metrics()[6:12], ids=lambda part: part.__name__)
def test_states_merged_in_any_order_give_the_same_number(part, count):
    """What processes count does not depend on who has which samples: integers, or all scores."""
    generator = torch.Generator().manual_seed(count)
    outputs, values = torch.randn(30, 3, generator=generator) * 4, torch.randint(0, 3, (30,), generator=generator)
    for kind in part.kinds:
        target = ftrun.Classes(names=("a", "b", "c")) if kind == "classes" else ftrun.Labels(names=("a", "b", "c"))
        truth = values if kind == "classes" else (outputs + torch.randn(30, 3, generator=generator) * 4 > 0).float()
        made = part(name=part.model_fields["name"].annotation.__args__[0])
        whole, *parts = (made.build(target) for _ in range(3))
        order = torch.randperm(30, generator=generator)
        whole.update(outputs, truth)
        for metric, chosen in zip(parts, order.split([30 - count, count] if count else [30, 0]), strict=True):
            if len(chosen):
                metric.update(outputs[chosen], truth[chosen])
        parts[1].merge_state(parts[0])
        # A probability may differ in its last bit with the batch that it is computed in.
        assert float(parts[1].compute()) == pytest.approx(float(whole.compute()), rel=1e-6)
        assert not parts[1].compute().isnan()


def test_merged_states_are_those_of_all_batches():
    values = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    whole, one, other = R2Score(), R2Score(), R2Score()
    whole.update(values * 1.1, values)
    one.update(values[:3] * 1.1, values[:3])
    other.update(values[3:] * 1.1, values[3:])
    one.merge_state(other)
    assert one.compute() == whole.compute()
    assert len(other.outputs) == 1


def test_a_metric_is_no_weight():
    assert Top(1).state_dict() == {}
    assert [name for name, _ in Top(1).named_parameters()] == []


def test_no_metric_imports_what_it_does_not_need():
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('torchmetrics', 'scipy', 'torchvision', 'transformers'))  # not to be found\n"
        "from ftrun_metrics import agreement, calibration, counts, errors, r2, ranks"
    )
    out, errors = warm.Process(code=code).communicate()
    assert (out, errors) == ("", "")
