"""The plugin keeps ftrun's contract; and sounds go all the way: learned from, cached, predicted, exported, resumed."""

import json
import math
import struct
import wave
from pathlib import Path
from typing import Any

from ftrun_devkit import check_plugin, run_command


def tones(place: Path) -> dict[str, Any]:
    """Low and high tones of different lengths and rates."""
    for number in range(32):
        kind, rate = ("low", "high")[number % 2], (8000, 11025)[number % 3 % 2]
        pitch = (1500 if number % 2 else 200) + 9 * number
        values = [round(9e3 * math.sin(pitch * 2 * math.pi * n / rate)) for n in range(rate // 10 + 300 * number)]
        (place / kind).mkdir(exist_ok=True)
        with wave.open(str(place / kind / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(struct.pack(f"<{len(values)}h", *values))
    return {"path": str(place)}


test_contract = check_plugin("ftrun_waves", options={"waves": tones})


def test_sounds_go_all_the_way(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    Path("tones").mkdir()
    train = {"epochs": 8, "batch_size": 8, "precision": "fp32"}
    spec = {"dataset": {"name": "waves", **tones(Path("tones"))}, "backbone": "wave-net", "loss": "cross-entropy"}
    spec |= {"optimizer": {"name": "adam", "lr": 0.02}, "metrics": ["accuracy"], "train": train}
    Path("spec.json").write_text(json.dumps(spec))

    def ftrun(*arguments: str) -> str:
        result = run_command(*arguments)
        assert result.exit_code == 0, result.output
        return str(result.output)

    assert "decoding 32 samples, once" in ftrun("spec.json", "--out", "run", "--device", "cpu")
    ftrun("report", "run")
    assert " s ▃" in Path("run/report.html").read_text(encoding="utf-8")
    files = json.loads(ftrun("predict", "run", "tones/high", "tones/low/2.wav", "--json"))
    assert {Path(each["file"]).parent.name for each in files if "high" in each["label"]} == {"high"}
    assert len(files) == 17
    for options in ([], ["--int8"], ["--raw"]):
        assert "the same answer on 100.00%" in ftrun("export", "run", "--format", "onnx", *options)
    assert "to the bit" in ftrun("verify-resume", "spec.json", "--kills", "2", "--device", "cpu")
