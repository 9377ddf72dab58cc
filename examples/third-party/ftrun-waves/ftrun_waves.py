"""Sounds of different lengths: a dataset of .wav files, an input that hears them in bands, and a small net on these."""

import os
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

WINDOW, HOP = 200, 50  # samples that a band is measured in, and from one measure to the next
LEAST = WINDOW + HOP  # two measures: torch.export takes a size of 1 for fixed


class Wave(NamedTuple):
    """A raw sound: float32 [N] from -1 to 1, and how many of them are a second."""

    samples: "Tensor"
    rate: int


class WaveInput(ftrun.InputSpec):
    """A sound: how loud it is in each of some bands, as it goes on."""

    kind: Literal["wave"] = "wave"
    rate: int = Field(8000, ge=1000, description="Samples a second that the net hears; others are resampled.")
    seconds: float = Field(2.0, ge=1, le=600, description="Longest sound; the rest is cut off.")
    bands: int = Field(16, ge=2, description="Bands, from low to high.")

    suffixes: ClassVar = (".wav",)
    sample_expr: ClassVar = '"a.wav"'
    requirement: ClassVar = "a sound, ftrun_waves.Wave"

    def accepts(self, raw: Any) -> bool:
        return isinstance(raw, Wave)

    def read(self, path: str | os.PathLike[str]) -> Wave:
        """The sound in a .wav file of 16 bits, its channels in one."""
        import torch

        try:
            with wave.open(os.fspath(path)) as file:
                data, about = bytearray(file.readframes(file.getnframes())), file.getparams()
        except (OSError, EOFError, wave.Error) as error:
            raise ftrun.DataError(f"{os.fspath(path)} cannot be read: {error or type(error).__name__}.") from None
        if about.sampwidth != 2 or not data:
            raise ftrun.DataError(f"{os.fspath(path)} is empty, or not of 16 bits.")
        samples = torch.frombuffer(data, dtype=torch.int16).view(-1, about.nchannels)
        return Wave(samples.float().mean(1) / 32768, about.framerate)

    def collate(self, raw: Sequence[Wave]) -> "dict[str, Tensor]":
        import torch

        heard = []
        for samples, rate in raw:
            count = max(LEAST, round(len(samples) * self.rate / rate))
            samples = torch.nn.functional.interpolate(samples[None, None], count, mode="linear")[0, 0]
            heard.append(samples[: round(self.rate * self.seconds)])
        lengths = torch.tensor([len(samples) for samples in heard])
        return {"samples": torch.nn.utils.rnn.pad_sequence(heard, batch_first=True), "lengths": lengths}

    @property
    def collated_layout(self) -> Mapping[str, ftrun.TensorLayout]:
        samples = ftrun.DynamicDim("samples", LEAST, round(self.rate * self.seconds))
        return {"samples": ftrun.TensorLayout("float32", (samples,)), "lengths": ftrun.TensorLayout("int64", ())}

    def preparation(self) -> "nn.Module":
        import torch

        class Filterbank(torch.nn.Module):
            """Samples -> float32 [B, bands, frames], zero behind a sound's end."""

            def __init__(self, bands: int) -> None:
                super().__init__()
                turns = torch.logspace(-2, -0.4, bands)[:, None] * torch.arange(WINDOW) * 2 * torch.pi
                filters = torch.cat([turns.cos(), turns.sin()]) * torch.hann_window(WINDOW) / WINDOW
                self.register_buffer("filters", filters[:, None])

            def forward(self, x: "dict[str, Tensor]") -> "Tensor":
                cos, sin = torch.nn.functional.conv1d(x["samples"][:, None], self.filters, stride=HOP).chunk(2, dim=1)
                bands = (cos.square() + sin.square()).mul(1e4).log1p()
                ends = torch.arange(bands.shape[2], device=bands.device) * HOP + WINDOW
                return bands * (ends <= x["lengths"][:, None])[:, None]

        return Filterbank(self.bands)

    @property
    def prepared_layout(self) -> ftrun.TensorLayout:
        most = (round(self.rate * self.seconds) - WINDOW) // HOP + 1
        return ftrun.TensorLayout("float32", (self.bands, ftrun.DynamicDim("frames", 2, most)))

    def example(self, count: int) -> list[Wave]:
        import torch

        noise = torch.rand(self.rate, generator=torch.Generator().manual_seed(0)) - 0.5
        return [Wave(noise.roll(place)[: self.rate * (1 + place % 5) // 6], self.rate) for place in range(count)]

    def preview(self, raw: Wave) -> str:
        """Its length, and how loud it is as it goes on."""
        loud = [min(1.0, float(part.abs().max())) for part in raw.samples.split(max(1, len(raw.samples) // 16))]
        return f"{len(raw.samples) / raw.rate:.2f} s {''.join('▁▂▃▄▅▆▇█'[round(7 * each)] for each in loud)}"


class Waves(ftrun.Dataset):
    """Sounds in .wav files, a folder for each class."""

    name: Literal["waves"]
    input_kind = "wave"
    path: Path = Field(description="The folder of the classes' folders.")

    def build(self) -> ftrun.Splits:
        files = sorted(self.path.glob("*/*.wav"))
        names = tuple(sorted({file.parent.name for file in files}))
        if len(names) < 2:
            raise ftrun.DataError(f"{self.path} needs two folders or more with .wav files in them.")
        return ftrun.Splits(train=WaveSplit(self.path, files, names), targets={"label": ftrun.Classes(names=names)})


class WaveSplit:
    """Files that are read when they are asked for."""

    def __init__(self, root: Path, files: Sequence[Path], names: Sequence[str]) -> None:
        import torch

        self.root, self.files = root, files
        self.columns = {"label": torch.tensor([names.index(file.parent.name) for file in files])}

    @property
    def fingerprint(self) -> str | None:
        return ftrun.files_fingerprint(self.files, self.root)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return WaveInput().read(self.files[index]), {"label": self.columns["label"][index]}


class WaveNet(ftrun.Backbone):
    """A convolution over the bands of a sound; its weights are random."""

    name: Literal["wave-net"]
    input_type = WaveInput

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        from torch import nn

        class Parts(ftrun.Net):
            def features(self, x: "Tensor") -> "Tensor":  # [B, bands, T] -> [B, T, D], zero where there is no sound
                return (self.model.body(x) * x.any(dim=1, keepdim=True)).transpose(1, 2)

            def pool(self, features: "Tensor") -> "Tensor":
                return features.sum(1) / features.any(2).sum(1, keepdim=True).clamp(min=1)

        sounds = WaveInput().changed(**overrides)
        model = nn.Sequential()
        model.add_module("body", nn.Sequential(nn.Conv1d(sounds.bands, 16, 5, padding=2), nn.ReLU()))
        model.add_module("head", nn.Linear(16, 2))
        return Parts(model, input=sounds, num_features=16, head_path="head", stages={"body": ["body"]})


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Waves]


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [WaveNet]
