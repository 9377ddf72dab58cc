"""`ftrun verify-resume`: a short copy of a run, straight, and again with SIGKILLs in it; both must end the same.

The parent process compares; each run is a process of its own, which executes this module and may kill itself.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ftrun import FtrunError

ASPECTS = ("weights", "best weights", "optimizer", "objective", "history")


@dataclass(frozen=True)
class Trial:
    """A run that was killed and resumed."""

    killed_after: int
    """Steps that were done."""
    resumed_from: int
    """Steps of its last checkpoint."""
    same: dict[str, bool]
    """Whether each of ASPECTS is what it is without the kill."""


@dataclass(frozen=True)
class _Part:
    """What one process does: start the run in `folder`, or go on with it."""

    spec: dict[str, Any]
    folder: str
    device: str | None
    resume: bool = False
    parts: str | None = None
    """The file of local parts, for a run that starts; one that goes on has its copy."""
    save_at: int = 0
    kill_at: int = 0
    """Steps in this process after which it saves, and after which it kills itself; 0 for never."""


def verify(spec: dict[str, Any], kills: int, device: str | None, local: Path | None = None) -> list[Trial]:
    """Try a short copy of `spec` (resolved) with that many kills. Raises FtrunError where a run fails by itself.

    local: the file of local parts
    """
    spec = shortened(spec)
    parts = str(local) if local else None
    with TemporaryDirectory(prefix="ftrun-verify-resume-") as scratch:
        straight = Path(scratch) / "straight"
        _process(_Part(spec, str(straight), device, parts=parts))
        expected = _outcome(straight)
        steps = _progress(straight)["step"]
        trials = []
        for step in _kills(kills, steps):
            folder = Path(scratch) / f"killed-{step}"
            _process(_Part(spec, str(folder), device, parts=parts, save_at=step - 1, kill_at=step), killed=True)
            resumed_from = _progress(folder)["step"] if (folder / "checkpoints" / "last").exists() else 0
            _process(_Part(spec, str(folder), device, resume=True))
            outcome = _outcome(folder)
            trials.append(Trial(step, resumed_from, {each: outcome[each] == expected[each] for each in ASPECTS}))
    return trials


def shortened(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec for two epochs, or for one of each of its phases; nothing watches it."""
    phases = [{**phase, "epochs": 1} for phase in spec["train"]["phases"] or ()]
    if len(phases) == 1:
        phases[0]["epochs"] = 2
    epochs = max(2, len(phases))
    train = {**spec["train"], "epochs": epochs, "phases": phases or None, "patience": None, "checkpoint_minutes": 1e6}
    return {**spec, "train": train, "observers": []}


def _kills(kills: int, steps: int) -> list[int]:
    """Return the steps to kill after: spread out, and the last in a later epoch than the first.

    In the first epoch a part that counts its calls has counted as little after the kill as before it.
    """
    return sorted({max(1, (2 * each + 3) * steps // (2 * kills + 2)) for each in range(kills)})


def _process(part: _Part, *, killed: bool = False) -> None:
    command = [sys.executable, "-m", __name__, json.dumps(asdict(part))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != (-signal.SIGKILL if killed else 0):
        what = "the run that was to be killed" if killed else "the resumed run" if part.resume else "the run itself"
        raise FtrunError(f"{what} ended with {ended.returncode}:\n{(ended.stderr or ended.stdout).strip()}")


def _progress(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / "checkpoints" / "last" / "state.json").read_text(encoding="utf-8"))
    progress: dict[str, Any] = state["progress"]
    return progress


def _outcome(folder: Path) -> dict[str, Any]:
    """Return what has to be the same, by aspect: digests, and the metrics without the times."""
    digests, losses = {}, []
    for name in ("best", "last"):
        checkpoint = folder / "checkpoints" / name
        digests[name] = json.loads((checkpoint / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        net = json.loads((checkpoint / "net.json").read_text(encoding="utf-8"))
        losses.append((net["objective"], digests[name].get("net.safetensors")))
    progress = _progress(folder)
    epochs = [
        {key: value for key, value in metrics.items() if not key.startswith("seconds")}
        for metrics in progress["history"]
    ]
    return {
        "weights": digests["last"]["model.safetensors"],
        "best weights": digests["best"]["model.safetensors"],
        "optimizer": digests["last"]["state.safetensors"],
        "objective": losses,
        "history": (epochs, progress["best_epoch"], progress["best_val"]),
    }


def _do(part: _Part) -> None:
    from ftrun.devtools import PartsFile, Request, RunFolder, Signals, check_spec, installed, resume, run

    class KillSwitch(Signals):
        """Asked after each step whether a signal waits; saves and kills at their steps."""

        steps = 0

        @property
        def waiting(self) -> bool:
            self.steps += 1
            if self.steps == part.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.save_asked |= self.steps == part.save_at
            return super().waiting

    if part.resume:
        folder = RunFolder.existing(Path(part.folder))
        resume(folder, installed(folder.local_parts(trust=True)), None, part.device, KillSwitch(), short=True)
        return
    catalogue = installed(PartsFile.read(Path(part.parts)) if part.parts else None)
    spec = check_spec(part.spec, catalogue, name="spec")
    text = json.dumps(part.spec)
    run(Request(spec, "short", text, (), catalogue, Path(part.folder), part.device, short=True), KillSwitch())


if __name__ == "__main__":
    try:
        _do(_Part(**json.loads(sys.argv[1])))
    except FtrunError as failure:
        sys.exit(str(failure))
