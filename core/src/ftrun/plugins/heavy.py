"""Packages that take seconds to load: a plugin that loads one at its top makes every command wait for it."""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

HEAVY = (
    "torch", "torchvision", "timm", "torchmetrics", "transformers", "numpy", "scipy", "pandas", "sklearn", "PIL",
)  # fmt: skip


def loaded() -> set[str]:
    """Return the heavy packages that this process has loaded."""
    return {name for name in HEAVY if name in sys.modules}


def warning(before: set[str], source: str) -> tuple[str, ...]:
    """Return a warning on what importing a module has loaded, or none.

    What was there before shows in its source alone.

    before: what `loaded` gave before it was imported; source: the module's, as far as it can be read
    """
    names = sorted((loaded() - before) | (before and before & at_top(source)))
    if not names:
        return ()
    return (f"its import loads {', '.join(names)}, and each command waits for that: import it inside build().",)


@lru_cache(256)  # a process that trains several runs loads the same plugins for each
def at_top(source: str) -> frozenset[str]:
    """Return the heavy packages that a module's source imports as it is imported itself."""
    try:
        return frozenset(_imported(ast.parse(source).body))
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # its import says what is wrong
        return frozenset()


def _imported(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            names = [each.name for each in statement.names]
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            names = [statement.module or ""]
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from _imported(statement.orelse)
            continue
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _imported(statement.body)
            yield from _imported(getattr(statement, "orelse", []))
            continue
        else:
            continue
        yield from (name for each in names if (name := each.partition(".")[0]) in HEAVY)
