"""Lookahead against its algorithm, written out."""

from typing import Any

import pytest
import torch
from ftrun_lookahead import Lookahead
from pydantic import ValidationError

INNER: dict[str, Any] = {
    "sgd": lambda weight: torch.optim.SGD([weight], lr=0.1, momentum=0.9),
    "adam": lambda weight: torch.optim.Adam([weight], lr=0.1),
}


@pytest.mark.parametrize("inner", INNER)
def test_follows_algorithm_1(inner: str) -> None:
    """Ten steps with k = 3: three steps of the slow weights, and one inner step more."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = Lookahead(name="lookahead", lr=0.1, inner=inner, k=3, alpha=0.4).build([weight])
    theta = torch.nn.Parameter(weight.detach().clone())
    reference = INNER[inner](theta)
    phi = theta.detach().clone()
    for step in range(1, 11):
        for each, by in ((weight, optimizer), (theta, reference)):
            by.zero_grad()
            ((each - 1) ** 2).sum().backward()
            by.step()
        if step % 3 == 0:
            phi += 0.4 * (theta.detach() - phi)
            theta.data.copy_(phi)
        torch.testing.assert_close(weight, theta)


@pytest.mark.parametrize("options", [{"inner": "adam", "momentum": 0.5}, {"betas": (0.9, 0.99)}])
def test_options_of_the_other_inner_optimizer_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is an option of"):
        Lookahead(name="lookahead", **options)
