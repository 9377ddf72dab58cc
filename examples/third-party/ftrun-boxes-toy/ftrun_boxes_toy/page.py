"""What the report and the model card show of boxes."""

import html
from typing import Any

import ftrun

MOST = 12


def section(name: str, target: Any, outputs: ftrun.Ragged, truth: ftrun.Ragged, ids: Any, pictures: Any) -> str:
    """The first images, with their true boxes dashed, and above each box that was found its class and score."""
    shown = []
    for found, boxes, sample in zip(outputs.unbind()[:MOST], truth.unbind(), ids.tolist(), strict=False):
        picture = pictures.picture(sample)
        if picture is not None:
            height, width = pictures.input.size
            drawn = [_box(row, "stroke-dasharray='2'", "") for row in boxes.tolist()]
            drawn += [_box(row, "", f"{target.names[int(row[4])]} {row[5]:.2f}") for row in found.tolist()]
            image = f"<image href='{picture}' width='{width}' height='{height}' preserveAspectRatio='none'/>"
            shown.append(f"<svg width='224' viewBox='0 0 {width} {height}'>{image}{''.join(drawn)}</svg>")
    return f"<h3>{html.escape(name)}: boxes</h3><p>True boxes are dashed.</p>{''.join(shown)}"


def _box(row: list[float], style: str, words: str) -> str:
    left, top, right, bottom = row[:4]
    place = f"x='{left:.1f}' y='{top:.1f}' width='{right - left:.1f}' height='{bottom - top:.1f}'"
    text = f"<text x='{left:.1f}' y='{top:.1f}' font-size='4' fill='yellow'>{html.escape(words)}</text>"
    return f"<rect {place} {style} fill='none' stroke='yellow' stroke-width='0.5'/>{text}"


def card_text(target: Any) -> tuple[str, str]:
    """What a net gives, and what it does not."""
    return f"boxes of {len(target.names)} classes", "finds at most 100 boxes in an image."
