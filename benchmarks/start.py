"""How long commands take to answer, as multiples of the time in which click, pluggy and pydantic are imported.

    python benchmarks/start.py [rounds]

In turn, so that what else the machine does falls on all of them; medians. Bytecode is written first, as pip has it.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

WRONG = '{"dataset": "digits", "backbone": "efficientnet-lite0", "optimizer": {"name": "sgd", "momentun": 1}}'
BARE = "import click, pluggy, pydantic"
MOST = {BARE: 1.0, "--help": 2.0, "plugins": 3.0, "schema": 3.0, "a wrong spec": 3.0}


def main(rounds: int) -> None:
    """Print a line for each command: milliseconds, how many times the imports' that is, and what it may be."""
    with TemporaryDirectory() as folder:
        spec = Path(folder, "wrong.json")
        spec.write_text(WRONG)
        ftrun = [sys.executable, "-m", "ftrun"]
        commands = {BARE: [sys.executable, "-c", BARE], "a wrong spec": [*ftrun, str(spec)]}
        commands |= {name: [*ftrun, name] for name in ("--help", "plugins", "schema")}
        times: dict[str, list[float]] = {name: [] for name in MOST}
        for number in range(rounds + 1):
            for name in MOST:
                seconds = _seconds(commands[name])
                if number:  # the first round writes bytecode
                    times[name].append(seconds)
    bare = median(times[BARE])
    for name, most in MOST.items():
        took = median(times[name])
        print(f"{name:32} {1e3 * took:6.0f} ms  {took / bare:4.2f} of at most {most:.1f}")


def _seconds(command: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=False)
    return perf_counter() - started


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
