"""README.md of a run folder: a model card, as model hubs have them. Written by each run at its end."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress

import torch

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.net import Net
from ftrun.contracts.specs import Backbone
from ftrun.inference.opened import open_run
from ftrun.run.card.facts import Facts
from ftrun.run.card.text import text
from ftrun.run.compare import contender
from ftrun.runs.folder import RunFolder

NAME = "README.md"
_MARK = re.compile(r"\n<!-- written by ftrun; not written anew once it is changed: ([0-9a-f]{64}) -->\n\Z")


def at_end(folder: RunFolder, backbone: Backbone, net: Net, say: Callable[[str], None]) -> None:
    """Write a finished run's card; whatever goes wrong is one line, and changes nothing."""
    with suppress(FtrunError):  # of saying it: the disk may be full
        try:
            if not write(folder, backbone, net):
                say(f"{folder.path / NAME}: kept as it is, since somebody has changed it")
        except FtrunError as error:
            say(f"no {NAME}: {error}")
        except Exception as error:  # whatever a plugin's own code for its library raises
            say(f"no {NAME}: {type(error).__name__}: {error}. The results are not affected.")


def write(folder: RunFolder, backbone: Backbone, net: Net) -> bool:
    """Write the card, unless there is one that somebody has changed; whether it was.

    net: of the run, with or without its weights
    """
    path = folder.path / NAME
    if path.exists() and not _is_ours(path.read_text(encoding="utf-8", errors="replace")):
        return False
    run = contender.read(folder.path, with_predictions=False)
    facts = Facts(run, folder.path.resolve().name, library_code(backbone, net), net.input, backbone.base_model)
    folder.write_text(NAME, _marked(text(facts)))
    return True


def again(folder: RunFolder, *, trust: bool = False) -> None:
    """Write the card of a run that is finished and has none. Raises what opening a run raises."""
    run = open_run(folder, "cpu", trust=trust)
    write(folder, run.spec.backbone, run.net)


def _marked(card: str) -> str:
    return f"{card}\n<!-- written by ftrun; not written anew once it is changed: {_digest(card)} -->\n"


def _is_ours(card: str) -> bool:
    mark = _MARK.search(card)
    return mark is not None and mark[1] == _digest(card[: mark.start()])


def _digest(card: str) -> str:
    return hashlib.sha256(card.encode()).hexdigest()


def library_code(backbone: Backbone, net: Net) -> str | None:
    """The backbone's code that makes the net without ftrun, if what it makes takes the net's weights."""
    code = backbone.library_code(net)
    if code is None:
        return None
    *imports, call = code.splitlines()
    names: dict[str, object] = {}
    try:
        exec("\n".join(imports), names)
        with torch.device("meta"):
            made = eval(call, names)
        shapes = {name: value.shape for name, value in made.state_dict().items()}
    except Exception:  # not every net can be made without memory for its weights; some modifiers make other nets
        return None
    own = {name: value.shape for name, value in net.model.state_dict().items()}
    return code if shapes == own else None
