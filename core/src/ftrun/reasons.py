"""What a library says of a failure, without what is for its own developers."""

import re

_NOISE = re.compile(
    r"TORCH_LOGS|TORCHDYNAMO|for more (information|info|debug)|for (C\+\+|extended|full) (stack|log)|^Caused by:|"
    r"^\(For|docs\.google\.com|^The error above occurred|^While executing|^Original traceback",
    re.IGNORECASE,
)
_FRAME = re.compile(r'^\s*File "(.*)", line \d+')
_LINES = 20


def suggestions(error: BaseException) -> str:
    """Return an exception's type and message with all that it suggests.

    Its lines are without frames of a traceback and hints on logging, at most 20, those after the first indented.
    """
    kept: list[str] = []
    in_frame = False
    for line in str(error).strip().splitlines():
        was_in_frame, in_frame = in_frame, bool(_FRAME.match(line))
        if in_frame or was_in_frame or not line.strip() or _NOISE.search(line.strip()):
            continue
        kept.append(line.rstrip())
    if len(kept) > _LINES:
        kept = [*kept[:_LINES], "..."]
    first, *others = kept or ["no reason given"]
    return "\n  ".join([f"{type(error).__name__}: {first.strip()}", *others])
