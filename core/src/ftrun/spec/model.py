"""The run spec's model with what is installed put into it, and its JSON Schema."""

from collections.abc import Collection, Sequence
from math import isfinite
from typing import Annotated, Any, Union

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, create_model
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from ftrun.contracts import specs
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.nested import SCHEMA_KEY, nested_roles
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.nested import expand_part, named_parts, part_class
from ftrun.spec.runspec import SLOTS, RunSpec


def expand(data: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return `data` with every part as an object: "sgd" is {"name": "sgd"}; roles left out get their default part.

    Where several parts may be, a single one is a list of one. A recipe has no place in a spec that leaves nothing out.
    """
    expanded = dict(data)
    for slot in SLOTS:
        value, default = data.get(slot.key), catalogue.default(slot.role.role)
        if slot.key not in data:
            if default is not None and not slot.many and (slot.role is not specs.Recipe or _lacks(data, catalogue)):
                expanded[slot.key] = {"name": default}
        elif slot.many:
            listed = [value] if isinstance(value, str | dict) else value
            if isinstance(listed, list):
                expanded[slot.key] = [expand_part(each, slot.role, catalogue) for each in listed]
        elif isinstance(value, dict) and slot.maps(value):
            expanded[slot.key] = {target: expand_part(each, slot.role, catalogue) for target, each in value.items()}
        else:
            expanded[slot.key] = expand_part(value, slot.role, catalogue)
    return expanded


def _lacks(data: dict[str, Any], catalogue: Catalogue) -> bool:
    """Return whether a spec leaves out what a recipe fills in: loss, optimizer, or how long to train."""
    train = data.get("train")
    named = expand_part(data.get("objective"), specs.Objective, catalogue)
    objective: Any = part_class(named, specs.Objective, catalogue)
    needs_loss = objective is None or objective.uses_losses
    timed = isinstance(train, dict) and train.get("minutes") is not None
    return timed or "optimizer" not in data or (needs_loss and "loss" not in data)


def run_spec_model(catalogue: Catalogue, data: dict[str, Any], keys: Collection[str] | None = None) -> type[RunSpec]:
    """Return the model that checks `data` (expanded): the parts that it names, and the input that its backbone takes.

    keys: those of the parts that are wanted; others are left as they are, plain JSON; all if not given

    Raises whatever pydantic or a part does where the options of one of them cannot be checked.
    """
    part: Any = part_class(data.get("backbone"), specs.Backbone, catalogue)
    overrides = _overrides([part.input_type] if part else _input_types(catalogue)[:1])
    mapped = {slot.key for slot in SLOTS if slot.maps(data.get(slot.key))}
    names = {name for *_, name in named_parts(data, catalogue)}
    filled = FILLED if data.get("recipe") is not None else ()
    model = _model(catalogue, overrides, mapped, keys, names, optional=_not_needed(data, catalogue), filled=filled)
    model.model_rebuild()
    return model


def _not_needed(data: dict[str, Any], catalogue: Catalogue) -> set[str]:
    """Return the keys that a spec would need, if it were not for its objective."""
    part: Any = part_class(data.get("objective"), specs.Objective, catalogue)
    return {"loss"} if part is not None and not part.uses_losses else set()


FILLED = frozenset({"loss", "optimizer"})
"""Keys that a spec would need, if it were not for a recipe."""


def json_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec, given what is installed.

    Raises whatever pydantic or a part does where the options of one of them cannot be checked.
    """
    model = _model(catalogue, _overrides(_input_types(catalogue)), None)
    nested = {role.role: role for part in _all_parts(catalogue) for role in nested_roles(part).values()}
    inner: dict[str, Any] = {f"{SCHEMA_KEY}-{name}": (one_of(role, catalogue), ...) for name, role in nested.items()}
    whole = create_model("RunSpec", __base__=model, **inner)
    schema: dict[str, Any] = whole.model_json_schema(schema_generator=_Schema)
    for key, name in zip(inner, nested, strict=True):
        schema["required"].remove(key)
        schema["$defs"][name] = schema["properties"].pop(key)
    schema = _referring(schema, nested)
    optional = {slot.key for slot in SLOTS if catalogue.default(slot.role.role)}
    if "recipe" in optional:
        optional |= FILLED
    elif not all(part.uses_losses for part in catalogue.parts("objective").values()):  # type: ignore[attr-defined]
        optional.add("loss")
        schema["anyOf"] = [{"required": ["loss"]}, {"required": ["objective"]}]
    schema["required"] = [key for key in schema["required"] if key not in optional]
    schema["title"] = "ftrun spec"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _all_parts(catalogue: Catalogue) -> list[type[Part]]:
    return [part for slot in SLOTS for part in catalogue.parts(slot.role.role).values()]


def _referring(schema: Any, roles: Collection[str]) -> Any:
    """Return a JSON Schema in which options that are parts are what parts of their role are elsewhere."""
    if isinstance(schema, list):
        return [_referring(each, roles) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get(SCHEMA_KEY) in roles:
        kept = {key: value for key, value in schema.items() if key not in (SCHEMA_KEY, "anyOf")}
        return {**kept, "$ref": f"#/$defs/{schema[SCHEMA_KEY]}"}
    return {key: _referring(value, roles) for key, value in schema.items()}


def _input_types(catalogue: Catalogue) -> list[type[InputSpec]]:
    types = (part.input_type for part in catalogue.parts("backbone").values() if issubclass(part, specs.Backbone))
    return list(dict.fromkeys(types))


def _overrides(types: Sequence[type[InputSpec]]) -> Any:
    """Return the type of a spec's `input`, for nets that take one of these; anything will do where none is known."""
    return Union[tuple(each.overrides() for each in types)] if types else Any  # noqa: UP007


def _model(
    catalogue: Catalogue,
    overrides: Any,
    mapped: Collection[str] | None,
    keys: Collection[str] | None = None,
    names: Collection[str] | None = None,
    *,
    optional: Collection[str] = (),
    filled: Collection[str] = (),
) -> type[RunSpec]:
    """mapped: keys that hold a part for each target; where that is not known, those that may, may.

    names: those of the parts that may be there; all if not given
    optional: keys that may be left out or null, although a spec needs them otherwise
    filled: keys that may be left out, since a recipe fills them in
    """
    fields: dict[str, Any] = {}
    for slot in SLOTS:
        if keys is not None and slot.key not in keys:
            fields[slot.key] = _retyped(slot.key, Any)
            continue
        one: Any = one_of(slot.role, catalogue, names)
        if slot.many:
            one = Annotated[tuple.__class_getitem__((one, ...)), _OneOrMany()]
        elif mapped is None and slot.by_target:
            one = one | Annotated[dict.__class_getitem__((str, one)), _ByTarget()]
        elif mapped and slot.key in mapped:
            one = dict.__class_getitem__((str, one))
        if not slot.many and (slot.key in optional or not RunSpec.model_fields[slot.key].is_required()):
            one = one | None
        fields[slot.key] = _retyped(slot.key, one, optional=slot.key in (*optional, *filled))
    fields["input"] = _retyped("input", overrides | None)
    return create_model("RunSpec", __base__=RunSpec, __doc__=RunSpec.__doc__, **fields)


def _retyped(key: str, annotation: Any, *, optional: bool = False) -> tuple[Any, Any]:
    """Return a field of RunSpec with another type, made anew: the field itself would bring its old type along."""
    info = RunSpec.model_fields[key]
    default = None if optional else ... if info.is_required() else info.default
    return annotation, Field(default, description=info.description)


_PLAIN = (type(None), bool, int, str)


class _Schema(GenerateJsonSchema):
    """pydantic's own, with defaults that are plain values as they are: it builds a serializer for each of them."""

    def encode_default(self, dft: Any) -> Any:
        if type(dft) is tuple:
            return [self.encode_default(each) for each in dft]
        return dft if type(dft) in _PLAIN or (type(dft) is float and isfinite(dft)) else super().encode_default(dft)


class _Shorthand:
    """Lets JSON Schema accept a part's name, or family/member, where the object needs no more than that."""

    def __init__(self, parts: dict[str, type[Part]]) -> None:
        self.parts = parts

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        needs = {
            name: {field for field, info in part.model_fields.items() if info.is_required()} - {"name"}
            for name, part in self.parts.items()
        }
        plain = [name for name, required in needs.items() if not required]
        families = [
            {"type": "string", "pattern": "^" + name.replace(".", r"\.") + "/."}
            for name, part in self.parts.items()
            if part.family and needs[name] <= {part.family}
        ]
        names = [{"enum": plain}] if plain else []
        return {"anyOf": [handler(core), *names, *families]}


class _OneOrMany:
    """Lets JSON Schema accept a single part where a list of them may be."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(core)
        return {"anyOf": [several, several["items"]]}


class _ByTarget:
    """Lets JSON Schema tell a part for each target from one part: by `name`, as `Slot.maps` does."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        one_part = {"properties": {"name": {"type": "string"}}, "required": ["name"]}
        return {**handler(core), "minProperties": 1, "not": one_part}


def one_of(role: type[Part], catalogue: Catalogue, names: Collection[str] | None = None) -> Any:
    """Return the pydantic type of a part of one role, told apart by its name. names: as in `_model`"""
    parts = catalogue.parts(role.role)
    if names is not None:
        named = {name: catalogue.part(role.role, name) for name in sorted(names)}
        parts = {name: part for name, part in named.items() if part is not None}
    classes = tuple(dict.fromkeys(parts.values()))
    if not classes:
        return Annotated[Any, BeforeValidator(_nothing_installed), WithJsonSchema({"not": {}})]
    union: Any = Union[classes]  # noqa: UP007
    return Annotated[union, Field(discriminator="name"), _Shorthand(parts)]


def _nothing_installed(value: Any) -> Any:
    # The same error as for any unknown name, so that it gets the same message.
    raise PydanticCustomError("union_tag_invalid", "nothing is installed for this role")
