import pytest
import torch

from ftrun import SampleRandom
from ftrun.contracts import quantiles
from ftrun.contracts.randomness import seed_of


def test_a_draw_depends_on_the_sample_and_not_on_its_batch():
    ids = torch.tensor([7, 3, 11, 1000000])
    together = SampleRandom(seed_of(0, "augment", 1, 0), ids).uniform(5)
    for row, sample in enumerate(ids):
        alone = SampleRandom(seed_of(0, "augment", 1, 0), sample[None]).uniform(5)
        assert torch.equal(alone[0], together[row])


def test_seeds_epochs_and_places_give_different_draws():
    ids = torch.arange(100)
    paths = [(0, "augment", 1, 0), (1, "augment", 1, 0), (0, "augment", 2, 0), (0, "augment", 1, 1)]
    draws = [SampleRandom(seed_of(*path), ids).uniform() for path in paths]
    for index, one in enumerate(draws):
        for other in draws[index + 1 :]:
            assert (one == other).float().mean() < 0.05


def test_calls_one_after_the_other_are_one_stream():
    ids = torch.arange(10)
    one, two = SampleRandom(1, ids), SampleRandom(1, ids)
    parts = torch.cat([one.uniform(2), one.uniform(3)], dim=1)
    assert torch.equal(parts, two.uniform(5))


def test_draws_are_uniform_and_independent():
    random = SampleRandom(seed_of(5), torch.arange(200_000))
    unit = random.uniform(3)
    assert 0 <= unit.min() < 1e-4
    assert 1 - 1e-4 < unit.max() < 1
    assert torch.allclose(unit.mean(0), torch.full((3,), 0.5), atol=0.005)
    assert torch.allclose(unit.std(0), torch.full((3,), 12**-0.5), atol=0.005)
    assert (torch.corrcoef(unit.T) - torch.eye(3)).abs().max() < 0.01
    neighbours = torch.corrcoef(torch.stack([unit[:-1, 0], unit[1:, 0]]))
    assert neighbours[0, 1].abs() < 0.01
    counts = random.integers(high=9).bincount(minlength=9)
    assert len(counts) == 9
    assert counts.min() > 0.95 * 200_000 / 9
    assert abs(random.chance(0.3).float().mean() - 0.3) < 0.01


def test_ranges():
    random = SampleRandom(1, torch.arange(1000))
    scaled = random.uniform(2, low=-3.0, high=-1.0)
    assert scaled.shape == (1000, 2)
    assert -3 <= scaled.min() < -2.9
    assert -1.1 < scaled.max() < -1


def test_seed_of_fits_torch_and_tells_types_apart():
    assert 0 <= seed_of(0) < 2**63
    assert seed_of(0, 1) != seed_of(0, "1")
    assert seed_of(1, 23) != seed_of(12, 3)
    torch.manual_seed(seed_of(2**62, "x"))


def test_normal_and_beta_have_the_moments_of_their_distributions():
    random = SampleRandom(seed_of(7), torch.arange(200_000))
    normal = random.normal(2, mean=3.0, std=2.0).double()
    assert torch.allclose(normal.mean(0), torch.tensor(3.0).double(), atol=0.015)
    assert torch.allclose(normal.std(0), torch.tensor(2.0).double(), atol=0.015)
    assert (((normal - 3) / 2) ** 4).mean() == pytest.approx(3, rel=0.03)
    assert abs(torch.corrcoef(normal.T)[0, 1]) < 0.01
    for alpha, beta in ((0.2, 0.2), (1.0, 1.0), (0.5, 0.5), (2.0, 5.0), (40.0, 0.3)):
        drawn = random.beta(alpha, beta).double()
        assert 0 <= drawn.min() <= drawn.max() <= 1
        total = alpha + beta
        assert drawn.mean() == pytest.approx(alpha / total, abs=0.003)
        assert drawn.var() == pytest.approx(alpha * beta / total**2 / (total + 1), rel=0.03)


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.2), (1.0, 1.0), (0.05, 3.0), (5.0, 0.2), (100.0, 100.0)])
def test_quantiles_of_the_beta_distribution_are_scipys(alpha, beta):
    stats = pytest.importorskip("scipy.stats")
    table = quantiles.beta(alpha, beta, torch.device("cpu")).numpy()
    probabilities = quantiles._probabilities().numpy()
    assert table[: len(probabilities)] == pytest.approx(stats.beta.ppf(probabilities, alpha, beta), abs=1e-7)
    assert table[len(probabilities) :] == pytest.approx(stats.beta.isf(probabilities, alpha, beta), abs=1e-7)


def test_every_draw_of_the_normal_distribution_is_within_rounding_of_its_quantile():
    bits = torch.arange(0, 2**24, 37)
    exact = torch.special.ndtri((2 * (bits & (2**23 - 1)) + 1).double() / 2**25)
    exact = exact.where(bits < 2**23, -exact)
    drawn = quantiles.drawn(bits, quantiles.normal(torch.device("cpu")))
    assert (drawn - exact).abs().max() < 1e-5


def test_a_sample_draws_the_same_numbers_in_any_company():
    """Whatever the others drew: nothing is rejected, and so drawn again."""
    ids = torch.tensor([5, 0, 12])

    def draws(random):
        return torch.cat(
            [random.normal(3), random.beta(0.2, 0.4, 2), random.permutation(6).float(), random.uniform(1)], 1
        )

    together = draws(SampleRandom(3, ids))
    for row in range(3):
        assert torch.equal(draws(SampleRandom(3, ids[row, None]))[0], together[row])


def test_exact_numbers():
    """A seed gives the same numbers in every version: runs can be repeated."""
    random = SampleRandom(11, torch.arange(2))
    assert random.normal(2).tolist() == [
        [-0.1766369491815567, 0.8018219470977783],
        [-0.39432013034820557, 1.6715108156204224],
    ]
    assert random.beta(0.2, 0.2).tolist() == [1.8437278413330205e-05, 0.003531711408868432]
    assert random.permutation(4).tolist() == [[2, 3, 0, 1], [2, 1, 3, 0]]


def test_permutations_are_all_alike_likely():
    orders = SampleRandom(4, torch.arange(60_000)).permutation(3)
    counts = (orders @ torch.tensor([9, 3, 1])).bincount()
    counts = counts[counts > 0]
    assert len(counts) == 6
    assert counts.min() > 9_600
    assert counts.max() < 10_400


def test_parameters_that_beta_does_not_take():
    with pytest.raises(ValueError, match=r"from 0\.01 to 100"):
        SampleRandom(0, torch.arange(2)).beta(0.0, 1.0)
