"""The state of a metric: forgotten, added up, and where it lies."""

import torch
import warm

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
        "import ftrun_metrics.counts, ftrun_metrics.errors, ftrun_metrics.r2"
    )
    out, errors = warm.Process(code=code).communicate()
    assert (out, errors) == ("", "")
