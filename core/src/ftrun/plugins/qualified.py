"""Parts by distribution and name, `"ftrun-focal:focal"`: which one is meant, where two plugins offer one name."""

from functools import cache
from typing import Any, Literal

from pydantic import create_model

from ftrun.contracts.part import Part

MARK = ":"


@cache
def qualified(part: type[Part], name: str) -> type[Part]:
    """Return the same part under the name `DISTRIBUTION:NAME`, as a spec has it and a run records it."""
    made: Any = create_model(
        part.__name__, __base__=part, __module__=part.__module__, __doc__=part.__doc__, name=(Literal[name], ...)
    )
    made.__qualname__ = part.__qualname__
    made.__reduce__ = lambda self: (_again, (part, name, dict(self)))  # no module has it under its name
    made.__reduce_ex__ = lambda self, protocol: self.__reduce__()
    return made  # type: ignore[no-any-return]


def _again(part: type[Part], name: str, options: dict[str, Any]) -> Part:
    return qualified(part, name).model_construct(**options)
