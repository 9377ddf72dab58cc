"""Parts by distribution and name, `"ftrun-focal:focal"`: which one is meant, where two plugins offer one name."""

from functools import cache
from typing import Any, Literal

from pydantic import create_model

from ftrun.contracts.part import Part

MARK = ":"


@cache
def qualified(part: type[Part], name: str) -> type[Part]:
    """Return the same part under the name `DISTRIBUTION:NAME`, as a spec has it and a run records it."""
    fields: dict[str, Any] = {"name": (Literal.__getitem__(name), ...)}
    made = create_model(part.__name__, __base__=part, __module__=part.__module__, __doc__=part.__doc__, **fields)
    made.__qualname__ = part.__qualname__

    def reduced(self: Part, protocol: Any = None) -> tuple[Any, ...]:
        return _again, (part, name, dict(self))  # no module has it under its name

    for method in ("__reduce__", "__reduce_ex__"):
        setattr(made, method, reduced)
    return made


def _again(part: type[Part], name: str, options: dict[str, Any]) -> Part:
    return qualified(part, name).model_construct(**options)
