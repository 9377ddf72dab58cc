"""How to use a run's weights, with ftrun and without."""

from ftrun_report.card.facts import Facts

_IMPORTS = ("import json", "import torch", "from pathlib import Path", "from safetensors.torch import load_model")
_WITHOUT = """\
{imports}

net = {call}
load_model(net, "{place}model.safetensors")
net.eval()
about = json.loads(Path("{place}net.json").read_text())


{prepare}

batch = normalise(prepare("{file}", about["input"]), about["input"])
with torch.no_grad():
    output = net(torch.from_numpy(batch))
"""
_VALUES = """\
(target,) = about["targets"].values()
mean, std = (torch.tensor(target[name], dtype=torch.float64) for name in ("mean", "std"))
output = output.double() * std + mean
"""


def with_ftrun(facts: Facts, folder: str) -> str:
    """Return Python that predicts with ftrun; folder: the run folder's name in it."""
    return f'import ftrun\n\nmodel = ftrun.load("{folder}")\nprint(model.predict({facts.input.sample_expr}, top=3))\n'


def without(facts: Facts, place: str = "checkpoints/best/") -> str | None:
    """Return Python that computes outputs with the net's own library; None where a few lines cannot tell.

    place: where the files are, from where the code runs
    """
    plain = facts.input.plain_code
    if facts.code is None or plain is None:
        return None
    *imports, call = facts.code.splitlines()
    needed = plain.imports_with(*imports, *_IMPORTS)
    parts = {**plain._asdict(), "prepare": plain.prepare_by_torch, "imports": needed, "call": call, "place": place}
    (target,) = facts.targets.values()  # a library's own net has one head
    standardised = bool(getattr(target, "mean", ()))  # values, which the head gives so
    return _WITHOUT.format(**parts) + (_VALUES if standardised else "")
