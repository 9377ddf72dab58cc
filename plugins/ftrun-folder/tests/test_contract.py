"""The plugin keeps ftrun's contract: one test for each property and part."""

from pathlib import Path
from typing import Any

from PIL import Image

from ftrun_devkit import check_plugin


def photos(place: Path) -> dict[str, Any]:
    """Two folders of images, a colour for each."""
    for name, color in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        folder = place / "photos" / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(30):
            Image.new("RGB", (10, 8), tuple(part + index for part in color)).save(folder / f"{index}.png")
    return {"path": str(place / "photos")}


test_contract = check_plugin("ftrun_folder", options={"image-folder": photos})
