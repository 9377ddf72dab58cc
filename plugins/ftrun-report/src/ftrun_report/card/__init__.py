"""README.md of a run folder: a model card, as model hubs have them. Written by each run at its end.

facts       what it is written from
text        the whole card
  metadata    the YAML on top
  limits      what it warns of
  loading     how to use the weights
escape      texts from data, where they are no markup
"""

import hashlib
import re

import torch

import ftrun
from ftrun import Backbone, FinishedRun, Net, Run
from ftrun.commands import write_whole
from ftrun_report.card.facts import Facts
from ftrun_report.card.text import text

NAME = "README.md"
_MARK = re.compile(r"\n<!-- written by ftrun; not written anew once it is changed: ([0-9a-f]{64}) -->\n\Z")


def write_after_run(finished: FinishedRun) -> None:
    """Write a finished run's card; whatever goes wrong is one line, and changes nothing."""
    with finished.tolerating(f"no {NAME}"):
        if not write(ftrun.open(finished.folder), finished.spec.backbone, finished.net):
            finished.say(f"{finished.folder / NAME}: kept as it is, since somebody has changed it")


def write(run: Run, backbone: Backbone, net: Net) -> bool:
    """Write the card, unless there is one that somebody has changed; return whether it was written.

    net: of the run, with or without its weights
    """
    path = run.folder / NAME
    if path.exists() and not _is_ours(path.read_text(encoding="utf-8", errors="replace")):
        return False
    facts = Facts(run, library_code(backbone, net), net.input, backbone.base_model)
    write_whole(path, _marked(text(facts)))
    return True


def write_anew(run: Run) -> None:
    """Write the card of a run that is finished and has none. Raises what opening a run raises."""
    opened = run.open("cpu")
    write(run, opened.spec.backbone, opened.net)


def _marked(card: str) -> str:
    return f"{card}\n<!-- written by ftrun; not written anew once it is changed: {_digest(card)} -->\n"


def _is_ours(card: str) -> bool:
    mark = _MARK.search(card)
    return mark is not None and mark[1] == _digest(card[: mark.start()])


def _digest(card: str) -> str:
    return hashlib.sha256(card.encode()).hexdigest()


def library_code(backbone: Backbone, net: Net) -> str | None:
    """Return the backbone's code that makes the net without ftrun, if what it makes takes the net's weights."""
    code = backbone.library_code(net)
    if code is None:
        return None
    *imports, call = code.splitlines()
    names: dict[str, object] = {}
    try:
        exec("\n".join(imports), names)
        with torch.device("meta"):
            model = eval(call, names)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
    except Exception:  # not every net can be made without memory for its weights; some modifiers make other nets
        return None
    own = {name: value.shape for name, value in net.model.state_dict().items()}
    return code if shapes == own else None
