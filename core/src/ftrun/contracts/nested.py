"""Parts that are options of parts: `of: ftrun.PartOf[ftrun.Optimizer]`."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from ftrun.contracts.part import Part

T = TypeVar("T")

RESOLVE = "resolve"
"""The key of pydantic's context under which is what makes a part of a role from JSON values."""
SCHEMA_KEY = "x-ftrun-part"
"""The key of an option's JSON Schema that says which role's part it is."""


class _Nested:
    def __init__(self, role: "type[Part]") -> None:
        self.role = role

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._part)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        named = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        return {SCHEMA_KEY: self.role.role, "anyOf": [{"type": "string"}, named]}

    def _part(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, self.role):
            return value
        resolve: Callable[[type[Part], Any], Part] | None = (info.context or {}).get(RESOLVE)
        if resolve is None:
            raise ValueError(f"needs the part itself, an ftrun.{self.role.__name__}: nothing tells what is installed")
        return resolve(self.role, value)


if TYPE_CHECKING:
    PartOf = Annotated[T, "a part of that role"]
else:

    class PartOf:
        """The type of an option that is a part of another role, or of the same: `PartOf[ftrun.Optimizer]`.

        In a spec it is written as parts are everywhere: its name, or an object. Build it with `ftrun.build`.
        """

        def __class_getitem__(cls, role: "type[Part]") -> Any:
            return Annotated[role, _Nested(role)]


@lru_cache(maxsize=4096)
def nested_roles(part: "type[Part]") -> Mapping[str, "type[Part]"]:
    """Return the options of a part that hold parts, one or several, each with their role."""
    found = {name: _role_in((field.annotation, *field.metadata)) for name, field in part.model_fields.items()}
    return {name: role for name, role in found.items() if role is not None}


def _role_in(annotations: Any) -> "type[Part] | None":
    for each in annotations:
        role = each.role if isinstance(each, _Nested) else _role_in(get_args(each))
        if role is not None:
            return role
    return None


def parts_in(part: "Part", where: str) -> Iterator[tuple[str, "Part"]]:
    """Yield a part and all that are in its options, each with its place in the spec: `optimizer.of`."""
    yield where, part
    for option in nested_roles(type(part)):
        yield from _held(getattr(part, option), f"{where}.{option}")


def _held(value: Any, where: str) -> Iterator[tuple[str, "Part"]]:
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _held(each, f"{where}.{key}")
    elif hasattr(value, "role"):
        yield from parts_in(value, where)
