"""What a net cannot take is a mistake of the spec, found before any data is read."""

import pytest
import torch
from torch import Tensor, nn

from ftrun import Classes, Net, SpecError
from ftrun.train.trial import try_out
from ftrun_inputs import ImageInput


class Convolutions(Net):
    """Two convolutions without padding: no image smaller than 5 x 5."""

    def __init__(self, input: ImageInput, channels: int = 3) -> None:  # noqa: A002
        body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
        super().__init__(
            nn.Sequential(body, nn.Linear(4, 7)), input=input, num_features=4, head_path="1", stages={"body": ["0"]}
        )
        self.set_targets({"label": Classes(names=("a", "b"))})

    def features(self, x: Tensor) -> Tensor:
        return self.model[0](x)

    def pool(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


def message(net: Net) -> str:
    with pytest.raises(SpecError) as caught:
        try_out(net)
    assert caught.value.where == "input"
    return caught.value.message


@pytest.mark.parametrize(("size", "fits"), [((1, 1), "8 x 8"), ((4, 4), "8 x 8"), ((4, 60), "8 x 60")])
def test_a_size_that_is_too_small_is_told_with_one_that_is_not(size, fits):
    told = message(Convolutions(ImageInput(size=size)))
    assert told.startswith(f"the net takes no images of {size[0]} x {size[1]} pixels")
    assert f"It takes {fits}" in told


def test_another_number_of_channels_is_told():
    grey = ImageInput(size=(8, 8), mean=(0.5,), std=(0.5,))
    assert message(Convolutions(grey)).startswith("the net takes images of 3 channels, but mean and std have 1 value.")
    colour = Convolutions(ImageInput(size=(8, 8)), channels=1)
    assert message(colour).startswith("the net takes images of 1 channel, but mean and std have 3 values.")
    with pytest.raises(SpecError, match="takes images of 3 channels"):
        grey.of_channels(3)


def test_a_net_that_fits_stays_as_it_is():
    net = Convolutions(ImageInput(size=(8, 8)))
    net.model[0][1].eval()
    before, state = {name: each.clone() for name, each in net.state_dict().items()}, torch.get_rng_state()
    try_out(net)
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in net.model[0]] == [True, False, True]


def test_a_fault_of_the_net_keeps_its_own_error():
    class Broken(Convolutions):
        def pool(self, features: Tensor) -> Tensor:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        try_out(Broken(ImageInput(size=(8, 8))))
