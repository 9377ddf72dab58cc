"""What a library says of a failure, without what is for its own developers."""

import re

_NOISE = re.compile(
    r"TORCH_LOGS|TORCHDYNAMO|for more (info|debug)|for (C\+\+|extended|full) (stack|log)|docs\.google\.com|"
    r"^The error above occurred|^While executing|^Original traceback",
    re.IGNORECASE,
)
_HINT = re.compile(r" ?For more information, run with TORCH_LOGS.*")
_FRAME = re.compile(r'^\s*File "(.*)", line \d+')
_LINES = 20


def suggestions(error: BaseException) -> str:
    """Return an exception's type and message with all that it suggests.

    Frames of a traceback and hints on logging are left out; of more than 20 lines, so are those in the middle.
    All lines but the first are indented.
    """
    kept: list[str] = []
    in_frame = False
    for line in _HINT.sub("", str(error)).strip().splitlines():
        was_in_frame, in_frame = in_frame, bool(_FRAME.match(line))
        if in_frame or was_in_frame or not line.strip() or _NOISE.search(line.strip()):
            continue
        kept.append(line.rstrip())
    if len(kept) > _LINES:  # what to do comes last
        kept = [*kept[: _LINES // 2], "...", *kept[-_LINES // 2 :]]
    first, *others = kept or ["no reason given"]
    return "\n  ".join([f"{type(error).__name__}: {first.strip()}", *others])
