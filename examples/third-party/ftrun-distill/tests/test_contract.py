"""The plugin keeps ftrun's contract: one test for each property and part."""

from pathlib import Path

from teaching import teacher

from ftrun_devkit import check_plugin


def options(place: Path) -> dict[str, str]:
    return {"teacher": str(teacher(place.parent))}  # made once for all properties


test_contract = check_plugin("ftrun_distill", options={"distill": options})
