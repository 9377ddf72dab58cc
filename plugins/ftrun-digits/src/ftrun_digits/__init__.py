"""Dataset `digits`: the 1,797 handwritten digits that scikit-learn ships."""

from collections.abc import Iterable
from typing import ClassVar, Literal

import ftrun

FTRUN_API = "1.0"

TEST_FRACTION = 0.2


class Digits(ftrun.Dataset):
    """1,797 handwritten digits, 8x8 pixels, grey; they come with scikit-learn, so nothing is downloaded."""

    name: Literal["digits"]
    default: ClassVar[bool] = True

    def build(self) -> ftrun.Splits:
        """Train and test: uint8 [N, 1, 8, 8], and the label, int64 [N].

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
        return ftrun.Splits(
            train=ftrun.TensorSplit(images[train], {"label": labels[train]}),
            test=ftrun.TensorSplit(images[test], {"label": labels[test]}),
            targets={"label": ftrun.Classes(names=tuple(str(name) for name in digits.target_names))},
        )


@ftrun.hookimpl
def ftrun_datasets() -> Iterable[type[ftrun.Part]]:
    return [Digits]
