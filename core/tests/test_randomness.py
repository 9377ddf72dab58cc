import torch

from ftrun import SampleRandom
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
