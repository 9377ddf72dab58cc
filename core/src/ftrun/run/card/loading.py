"""How to use a run's weights, with ftrun and without."""

import sys

from ftrun.run.card.facts import Facts

_IMPORTS = ("import json", "import torch", "from safetensors.torch import load_model")
_WITHOUT = """\
{imports}

net = {call}
load_model(net, "{place}model.safetensors")
net.eval()
about = json.load(open("{place}net.json"))


{prepare}

{read}with torch.no_grad():
    output = net({value})
"""


def with_ftrun(facts: Facts, folder: str) -> str:
    """Python that predicts with ftrun; folder: what the run is called there."""
    return f'import ftrun\n\nmodel = ftrun.load("{folder}")\nprint(model.predict({facts.input.given}, top=3))\n'


def without(facts: Facts, place: str = "checkpoints/best/") -> str | None:
    """Python that computes outputs with the net's own library; None where a few lines cannot tell.

    place: where the files are, from where the code runs
    """
    plain = facts.input.plain_code
    if facts.code is None or plain is None:
        return None
    *imports, call = facts.code.splitlines()
    needed = _in_order({*imports, *plain.imports.splitlines(), *_IMPORTS})
    parts = {**plain._asdict(), "imports": needed, "call": call, "place": place}
    return _WITHOUT.format(**parts)


def _in_order(imports: set[str]) -> str:
    """The standard library's first, then `import`, then `from`."""
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    standard = [line for line in ordered if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    return "\n".join([*standard, "", *(line for line in ordered if line not in standard)])
