"""`ftrun schema` and `ftrun check` say the same: of the examples, and of everything that is one step away from one."""

import copy
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import tiny_spec

from ftrun.contracts.errors import FtrunError
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.check import check_spec
from ftrun.spec.model import json_schema

EXAMPLES = {path.stem: path for path in sorted((Path(__file__).parents[1] / "examples").glob("*.json"))}
TINY = tiny_spec(observers=[{"name": "recorder", "file": "a"}], metrics=["accuracy"])
SPECS = {"tiny": TINY, **{name: json.loads(path.read_text()) for name, path in EXAMPLES.items()}}
SPECS = {name: spec for name, spec in SPECS.items() if "parts" not in spec}  # only with them do schema and check agree

VALUES: list[Any] = [
    None, True, 0, 1, -1, 2.5, 10**40, "", "zzz", "sgd", "timm/x", "timm/", [], {}, [1], [0.5, 0.5, 0.5], ["a"],
    {"a": 1}, {"name": "sgd"}, [[]],
]  # fmt: skip


@pytest.fixture(scope="module")
def validator(catalogue: Catalogue) -> Draft202012Validator:
    return Draft202012Validator(json_schema(catalogue))


def accepts(spec: dict[str, Any], catalogue: Catalogue) -> bool:
    try:
        check_spec(spec, catalogue)
    except FtrunError:
        return False
    return True


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inside:
        yield from places(each, (*path, step))


def mutants(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each place with each of VALUES, each place dropped, an unknown key in each object."""
    for path in places(spec):
        for value in [*VALUES, ..., "unknown"]:
            mutant = copy.deepcopy(spec)
            holder = mutant
            for step in path[:-1]:
                holder = holder[step]
            if value == "unknown":
                holder = holder[path[-1]] if path else holder
                if not isinstance(holder, dict):
                    continue
                holder["colour"] = 1
            elif not path:
                continue
            elif value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            yield f"{'.'.join(map(str, path))} {'dropped' if value is ... else value!r}", mutant


def test_it_is_a_schema_of_draft_2020_12(alone, ftrun):
    schema = json.loads(ftrun("schema").output)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) == {"dataset", "backbone", "loss", "optimizer"}
    assert json.loads(ftrun("schema", "--json").output) == schema


def test_every_option_has_its_description_in_the_schema(validator):
    for name, part in validator.schema["$defs"].items():
        for option, field in part.get("properties", {}).items():  # a role that parts are options of has none
            assert option == "name" or field["description"], (name, option)


@pytest.mark.parametrize("name", SPECS)
def test_a_right_spec_is_right_for_both_and_so_is_it_with_every_default(name, validator, catalogue):
    validator.validate(SPECS[name])
    resolved = check_spec(SPECS[name], catalogue).resolved()
    validator.validate(resolved)
    assert check_spec(resolved, catalogue).resolved() == resolved
    validator.validate({"$schema": "schema.json", **SPECS[name]})


LARGE = ("fc-to-conv", "cifar10-images")


@pytest.mark.parametrize(
    ("name", "each"),
    [("tiny", 1), *((name, 5) for name in LARGE), *(pytest.param(name, 1, marks=pytest.mark.slow) for name in LARGE)],
)
def test_both_agree_on_every_mutant(name, each, validator, catalogue):
    """What a schema cannot say: `train.monitor` names one of the spec's own figures."""
    right = 0
    for what, mutant in islice(mutants(SPECS[name]), 0, None, each):
        if what.startswith("train.monitor"):
            continue
        valid = validator.is_valid(mutant)
        assert accepts(mutant, catalogue) == valid, what
        right += valid
    assert right, "some of these changes are harmless"


@pytest.mark.parametrize("name", SPECS)
def test_both_refuse_what_is_missing_unknown_or_of_another_type(name, validator, catalogue):
    resolved = check_spec(SPECS[name], catalogue).resolved()
    wrong = [{key: value for key, value in SPECS[name].items() if key != gone} for gone in ("backbone",)]
    for key, value in resolved.items():
        if isinstance(value, dict):
            wrong.append({**resolved, key: {**value, "colour": 1}})
        if isinstance(value, dict) and "name" in value:
            wrong.append({**resolved, key: {option: each for option, each in value.items() if option != "name"}})
            wrong.append({**resolved, key: {**value, "name": "no-such-part"}})
            wrong.append({**resolved, key: "no-such-part"})
        wrong.append({**resolved, key: True})
    for spec in wrong:
        assert not validator.is_valid(spec), spec
        assert not accepts(spec, catalogue), spec


def test_a_whole_number_with_a_point_is_an_integer_to_the_schema_alone(validator, catalogue):
    """JSON Schema cannot tell 2.0 from 2; ftrun, which writes what it reads, takes integers as they are."""
    spec = {**TINY, "train": {"epochs": 2.0}}
    assert validator.is_valid(spec)
    assert not accepts(spec, catalogue)


def test_names_are_enough_where_nothing_is_required(validator, catalogue):
    for key, short, right in [
        ("backbone", "timm/resnet18", True),
        ("backbone", "timm/", False),
        ("backbone", "tinym", False),
        ("dataset", "image-folder", False),
        ("dataset", "tiny", True),
        ("observers", ["recorder"], False),
        ("scheduler", "cosine", True),
        ("scheduler", "cosine/x", False),
        ("metrics", ["accuracy", {"name": "f1", "average": "micro"}], True),
        ("metrics", "accuracy", True),
    ]:
        spec = {**TINY, key: short}
        assert validator.is_valid(spec) == accepts(spec, catalogue) == right, (key, short)
