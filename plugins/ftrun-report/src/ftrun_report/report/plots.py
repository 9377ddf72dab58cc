"""Drawings: SVG by matplotlib, made to take the page's own colours and font.

No text that comes from data is ever in a drawing: names are in the page around it, where they are escaped.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from ftrun_report.report.calibration import Calibration
from ftrun_report.report.history import Curve, PhaseRow
from ftrun_report.report.values import Drawn

# Colours that stand for those of the page, put in once it is drawn.
_INK, _MUTED, _LINE, _SURFACE = "#010101", "#010102", "#010103", "#010104"
_SERIES = ("#020201", "#020202", "#020203", "#020204", "#020205", "#020206")
_VARIABLES = {
    _INK: "--ink",
    _MUTED: "--muted",
    _LINE: "--line",
    _SURFACE: "--surface",
    **{colour: f"--series-{number}" for number, colour in enumerate(_SERIES, 1)},
}
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (7, 2, 2, 2)), (0, (1, 1)), (0, (4, 1, 1, 1, 1, 1)))
SERIES = len(_SERIES)
"""So many curves can be told apart; further ones begin again."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.size": 10.5,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
}
_WIDTH = 4.4  # inches; the page scales it


def curves(key: str, drawn: Sequence[Curve], best: int | None, phases: Sequence[PhaseRow]) -> Markup:
    """Draw metrics by epoch; the best epoch is marked, and where a phase ends."""

    def draw(axes: Axes) -> None:
        _phase_ends(axes, phases, 0.5)
        if best:
            axes.axvline(best, color=_MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        for number, curve in enumerate(drawn):
            few = len(curve.epochs) <= 30
            axes.plot(curve.epochs, curve.values, **_series(number), marker="o" if few else "", markersize=3)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        if drawn and len(drawn[0].epochs) == 1:
            axes.set_xlim(drawn[0].epochs[0] - 1, drawn[0].epochs[0] + 1)

    return _drawing(key, draw)


def learning_rate(key: str, scheduled: Curve, recorded: Curve, phases: Sequence[PhaseRow]) -> Markup:
    """Draw the rate by epochs that are done: a line as scheduled, and a point for each epoch that was recorded."""

    def draw(axes: Axes) -> None:
        _phase_ends(axes, phases, 0.0)
        axes.plot(scheduled.epochs, scheduled.values, **_series(0))
        if len(recorded.epochs) <= 30:
            axes.plot(recorded.epochs, recorded.values, color=_SERIES[0], linestyle="", marker="o", markersize=3)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_xlabel("epochs done")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))

    return _drawing(key, draw)


def calibration(key: str, of: Calibration) -> Markup:
    """Draw the reliability diagram, and below it how many samples are in each bin."""
    centres = [(each.low + each.high) / 2 for each in of.bins]
    width = 0.9 * (of.bins[0].high - of.bins[0].low) if of.bins else 0.05

    def draw(figure: Figure) -> None:
        upper = figure.add_axes((0.13, 0.38, 0.84, 0.59))
        lower = figure.add_axes((0.13, 0.13, 0.84, 0.18))
        for axes in (upper, lower):
            _plain(axes)
            axes.set_xlim(0, 1)
        upper.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.9, linestyle=(0, (3, 2)))
        upper.bar(centres, [each.right for each in of.bins], width, color=_SERIES[0], alpha=0.35)
        confidences = [each.confidence for each in of.bins]
        upper.plot(
            confidences, [each.right for each in of.bins], color=_SERIES[0], marker="o", markersize=3, linewidth=1.4
        )
        upper.set_ylim(0, 1)
        upper.set_ylabel("holds")
        upper.tick_params(labelbottom=False)
        total = sum(each.samples for each in of.bins) or 1
        lower.bar(centres, [each.samples / total for each in of.bins], width, color=_MUTED, alpha=0.6)
        lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        lower.yaxis.set_major_locator(MaxNLocator(nbins=2))
        lower.set_ylabel("samples")
        lower.set_xlabel("confidence")

    return _figure(key, 3.4, draw)


def confusion(key: str, shares: Tensor) -> Markup:
    """Draw a cell for each pair of classes, the more solid the larger its share [C, C] of the true class's samples."""
    import torch

    pixels = torch.empty(*shares.shape, 4)
    pixels[..., :3] = torch.tensor([0.23, 0.51, 0.96])
    pixels[..., 3] = shares.sqrt()

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.13, 0.1, 0.84, 0.88))
        _plain(axes)
        axes.imshow(pixels.numpy(), interpolation="none", aspect="equal")
        axes.set_xlabel("predicted class, by its number")
        axes.set_ylabel("true class")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, integer=True))

    return _figure(key, 4.4, draw)


def scatter(key: str, of: Drawn) -> Markup:
    """Draw predictions against truth; on the line they are equal."""

    def draw(axes: Axes) -> None:
        ends = [min(*of.true, *of.predicted), max(*of.true, *of.predicted)]
        axes.plot(ends, ends, color=_MUTED, linewidth=0.9, linestyle=(0, (3, 2)))
        axes.plot(of.true, of.predicted, color=_SERIES[0], linestyle="", marker="o", markersize=3, alpha=0.5, mew=0)
        axes.set_xlabel("truth")
        axes.set_ylabel("prediction")

    return _drawing(key, draw, height=3.2, left=0.16)


def errors(key: str, of: Drawn) -> Markup:
    """Draw how many samples have which error."""

    def draw(axes: Axes) -> None:
        axes.bar(of.edges[:-1], of.counts, of.edges[1] - of.edges[0], align="edge", color=_SERIES[0], alpha=0.6)
        axes.axvline(0, color=_MUTED, linewidth=0.9, linestyle=(0, (3, 2)))
        axes.set_xlabel("prediction less truth")
        axes.set_ylabel("samples")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))

    return _drawing(key, draw, height=3.2, left=0.16)


def _series(number: int) -> dict[str, Any]:
    return {"color": _SERIES[number % SERIES], "linestyle": _DASHES[number % SERIES], "linewidth": 1.6}


def _phase_ends(axes: Axes, phases: Sequence[PhaseRow], shift: float) -> None:
    for phase in phases[:-1]:
        axes.axvline(phase.last + shift, color=_LINE, linewidth=1.2)


def _plain(axes: Axes) -> None:
    axes.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_LINE)
    axes.grid(axis="y", color=_LINE, linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=3)


def _drawing(key: str, draw: Callable[[Axes], None], *, height: float = 2.6, left: float = 0.13) -> Markup:
    def whole(figure: Figure) -> None:
        axes = figure.add_axes((left, 0.44 / height, 0.97 - left, 1 - 0.54 / height))
        _plain(axes)
        draw(axes)

    return _figure(key, height, whole)


def _figure(key: str, height: float, draw: Callable[[Figure], None]) -> Markup:
    with _style(key):
        figure = Figure(figsize=(_WIDTH, height))
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _for_page(file.getvalue(), key)


@contextmanager
def _style(key: str) -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own matplotlibrc says
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": key})
        yield


def _for_page(svg: str, key: str) -> Markup:
    """Return the drawing as a part of the page: ids of its own, the page's colours and font, and no more."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"^<svg[^>]*(viewBox=\"[^\"]*\")[^>]*>", r"<svg \1>", svg)
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*(; )?", "", svg)
    svg = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{key}-", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), svg)  # but no text between tags
    svg = re.sub(r"#01010\d|#02020\d", lambda colour: f"var({_VARIABLES[colour[0]]})", svg)
    return Markup(re.sub(r"\s*\n\s*", "\n", svg))
