"""Do with a page of the documentation what a reader does: make its files, run its code and its commands."""

import json
import re
import runpy
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import Result

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the name of the file that it is, if it is one, and whether readers run it."""

    language: str
    title: str | None
    code: str
    run: bool

    @property
    def pasted(self) -> bool:
        """Whether readers paste it into a terminal or into Python."""
        return self.run and self.title is None and self.language in ("sh", "python")


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of code of a page, in order."""
    text = page.read_text()
    found = list(_BLOCK.finditer(text))
    assert text.count("\n```") == 2 * len(found), f"{page} has a block of code that cannot be read"
    return (Block(each["language"], each["title"], each["code"], not each["reason"]) for each in found)


def specs(page: Path) -> Iterator[dict[str, Any]]:
    """Return the specs that a page shows: whole ones, or some keys of one."""
    for block in blocks(page):
        text = block.code.strip()
        while block.language == "json" and text:
            text = text if text.startswith("{") else "{" + text.rstrip(",") + "}"
            keys, end = json.JSONDecoder().raw_decode(text)
            text = text[end:].lstrip()
            yield keys


def paste(page: Path, ftrun: Callable[..., Result], changes: Mapping[str, str] | None = None) -> None:
    """Make the page's files in the working folder and run its code and its commands, in order.

    changes: what in the files is to be another text, such as a number of epochs
    """
    names: dict[str, Any] = {"__name__": "pasted"}
    changes = dict(changes or {})
    for block in blocks(page):
        if block.title:
            text = block.code
            for old in [each for each in changes if each in text]:
                text = text.replace(old, changes.pop(old))
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(text)
        elif block.pasted and block.language == "python":
            exec(compile(block.code, str(page), "exec"), names)
        elif block.pasted:
            for line in block.code.splitlines():
                _run(line, ftrun)
    assert not changes, f"{page} has nothing of {changes}"


def _run(line: str, ftrun: Callable[..., Result]) -> None:
    """Run one line of a shell; ftrun and Python in this process, which has loaded torch already."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["ftrun"] and not {"|", ">"} & set(words):
        result = ftrun(*words[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"
    elif words[:1] == ["python"] and len(words) == 2:
        runpy.run_path(words[1], run_name="__main__")
    elif words:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
