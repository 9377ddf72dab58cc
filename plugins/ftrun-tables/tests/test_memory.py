"""A file of a million rows: it is looked through in seconds, and neither that nor reading it takes much memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 1_000_000
MEASURED = """
import json, resource, sys
from pathlib import Path
from time import process_time

import torch

import ftrun_tables.indexed
from ftrun_text import Csv

def most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB

before, began = most(), process_time()
splits = Csv(name="csv", path=Path(sys.argv[1]), text="text", target="label").build()
seconds, built = process_time() - began, most()
order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))[:200_000].tolist()
characters = 0
for start in range(0, len(order), 100):
    texts, _ = splits.train.__getitems__(order[start : start + 100])
    characters += sum(map(len, texts))
rows = {name: len(split) for name, split in splits.items()}
print(json.dumps({"seconds": seconds, "built": built - before, "read": most() - built, "rows": rows, "n": characters}))
"""


@pytest.mark.slow
def test_a_million_rows_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for row in range(ROWS):
            file.write(f'"row {row}, the ""{row % 977}""\nof {"many words " * (row % 12)}",{"abc"[row % 3]}\n')
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True, timeout=590
    )
    found = json.loads(done.stdout)
    assert path.stat().st_size > 80e6
    assert found["rows"] == {"train": 900_000, "test": 100_000}
    assert found["n"] > 200_000 * 60
    assert found["seconds"] < 30
    assert found["built"] < 250  # MiB
    assert found["read"] < 20
