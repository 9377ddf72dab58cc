"""Dataset `digits`: the 1,797 handwritten digits that scikit-learn ships."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

import ftrun

if TYPE_CHECKING:
    from torch import Tensor

FTRUN_API = "2.0"

TEST_FRACTION = 0.2

Told = Literal["digit", "parity", "ink"]


class Digits(ftrun.Dataset):
    """1,797 handwritten digits, 8x8 pixels, grey; they come with scikit-learn, so nothing is downloaded."""

    name: Literal["digits"]
    input_kind = "image"
    default: ClassVar[bool] = True

    targets: tuple[Told, ...] = Field(
        (),
        description="What to predict of each image, together: its digit, its parity, and its ink, the part that is "
        "black. If not given, the digit alone, under the name label.",
    )

    @field_validator("targets")
    @classmethod
    def _each_once(cls, targets: tuple[Told, ...]) -> tuple[Told, ...]:
        if len(set(targets)) < len(targets):
            raise ValueError("names a target twice")
        return targets

    @property
    def target_kinds(self) -> dict[str, str]:
        """Of what is asked for."""
        return {name: "values" if name == "ink" else "classes" for name in self.targets or ("label",)}

    def build(self) -> ftrun.Splits:
        """Train and test: uint8 [N, 1, 8, 8]; the label, int64 [N], or the targets that were asked for.

        The fixed, stratified fifth that is test is the same in every run, so runs can be compared.
        """
        import torch
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        sixteenths = torch.from_numpy(digits.images)[:, None]
        images = (sixteenths * 255 / 16).round().to(torch.uint8)
        labels = torch.from_numpy(digits.target)
        train, test = train_test_split(
            torch.arange(len(labels)), test_size=TEST_FRACTION, stratify=digits.target, random_state=0
        )
        values, kinds = self._told(labels, sixteenths, tuple(str(name) for name in digits.target_names))
        return ftrun.Splits(
            train=ftrun.TensorSplit(images[train], {name: each[train] for name, each in values.items()}),
            test=ftrun.TensorSplit(images[test], {name: each[test] for name, each in values.items()}),
            targets=kinds,
        )

    def _told(
        self, labels: "Tensor", sixteenths: "Tensor", names: tuple[str, ...]
    ) -> "tuple[dict[str, Tensor], dict[str, ftrun.Target]]":
        """Values and kind of each target. labels: int64 [N]; sixteenths: grey values, [N, 1, 8, 8]."""
        digit = ftrun.Classes(names=names)
        if not self.targets:
            return {"label": labels}, {"label": digit}
        ink = sixteenths.flatten(1).mean(1, keepdim=True) / 16
        every: dict[str, tuple[Tensor, ftrun.Target]] = {
            "digit": (labels, digit),
            "parity": (labels % 2, ftrun.Classes(names=("even", "odd"))),
            "ink": (ink, ftrun.Values(names=("ink",))),
        }
        chosen = {name: every[name] for name in self.targets}
        return {name: values for name, (values, _) in chosen.items()}, {
            name: kind for name, (_, kind) in chosen.items()
        }


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [Digits]
