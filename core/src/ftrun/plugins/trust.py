"""Code that comes in a run folder: it runs where this user has run it before, or says so.

What is known is an empty file for each SHA-256 in the user's own data folder, which is no cache.
"""

import os
from contextlib import suppress
from pathlib import Path

from ftrun.contracts.errors import PluginError
from ftrun.contracts.paths import expand_path, home
from ftrun.plugins.localparts import PartsFile


def folder() -> Path | None:
    """Return where it is kept: in $XDG_DATA_HOME or ~/.local/share; None where there is neither."""
    given, own = os.environ.get("XDG_DATA_HOME"), home()
    data = expand_path(given) if given else own / ".local" / "share" if own else None
    return data / "ftrun" / "known-parts" if data else None


def is_known(file: PartsFile) -> bool:
    """Whether this user has run just this code."""
    known = folder()
    return known is not None and (known / file.sha256).is_file()


def remember(file: PartsFile) -> None:
    """Note that this user runs this code; where nothing can be written, it is asked for again."""
    known = folder()
    if known is not None:
        with suppress(OSError):
            known.mkdir(parents=True, exist_ok=True, mode=0o700)
            (known / file.sha256).touch()


def check(file: PartsFile, *, trust: bool) -> None:
    """Raise PluginError for code that this user has not run before, unless it is trusted; then, it is remembered."""
    if trust:
        remember(file)
    elif not is_known(file):
        listed = "".join(f"\n  {digest}  {file.path.parent / name}" for name, digest in file.digests.items())
        nowhere = "" if folder() else " (There is no home folder in which ftrun could know what you have run.)"
        raise PluginError(
            f"{file.path}: is code that came with this run, and that you have not run here before. It could do "
            "anything that you may do, so it is not run. Read it; if you trust it, say --trust (in Python: "
            f"trust=True).{nowhere}\nSHA-256:{listed}"
        )
