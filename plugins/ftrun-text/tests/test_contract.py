"""The plugin keeps ftrun's contract: one test for each property and part."""

import json
from pathlib import Path
from typing import Any

from ftrun_devkit import check_plugin

ROWS = [(f"the {colour} one, number {number}", colour) for number in range(20) for colour in ("red", "green", "blue")]


def a_csv(place: Path) -> dict[str, Any]:
    path = place / "rows.csv"
    _write_once(path, "text,colour\n" + "".join(f'"{text}",{colour}\n' for text, colour in ROWS))
    return {"path": str(path), "text": "text", "target": "colour"}


def a_jsonl(place: Path) -> dict[str, Any]:
    path = place / "rows.jsonl"
    lines = [json.dumps({"text": text, "colour": colour, "size": len(text)}) for text, colour in ROWS]
    _write_once(path, "\n".join(lines))
    return {"path": str(path), "text": "text", "targets": {"colour": "classes", "size": "values"}}


def _write_once(path: Path, text: str) -> None:
    """Splits notice a file that is written anew while they are in use."""
    if not path.exists():
        path.write_text(text, encoding="utf-8")


SMALL = {"width": 8, "embedding": 8}

test_contract = check_plugin("ftrun_text", options={"csv": a_csv, "jsonl": a_jsonl, "lstm": SMALL})
test_contract_of_two_layers_in_one_direction = check_plugin(
    "ftrun_text",
    options={"lstm": {**SMALL, "layers": 2, "bidirectional": False, "dropout": 0.0}},
    parts=["lstm"],
)
