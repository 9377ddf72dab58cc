"""Whatever a spec file or `--set` holds: a message and an exit code, never a traceback, never a wrong yes."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import tiny_spec

from ftrun.cli import main
from ftrun.contracts.errors import PluginError, SpecError
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.check import check_spec
from ftrun.spec.model import json_schema
from ftrun.spec.specfile import read_spec

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.json"))
SPECS = [
    tiny_spec(),
    tiny_spec(observers=[{"name": "recorder", "file": "a"}], input={"size": [8, 8]}, metrics=["accuracy"], seed=3),
    *(json.loads(path.read_text()) for path in EXAMPLES),
]
PYDANTICS_OWN_WORDS = ("Input should", "Input tag", "Unable to extract", "pydantic", "after validation", "JSON input")


@pytest.fixture(scope="module")
def validator(catalogue: Catalogue) -> Draft202012Validator:
    return Draft202012Validator(json_schema(catalogue))


texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["name", "lr", "tiny", "tiny-sgd", "sgd", "timm/", "/", "timm/x", "0", "\ud800", "a.b", "train", "cosine"]
)
numbers = st.integers() | st.floats() | st.sampled_from([10**99, 10**400, -(10**30), 1e308, 2**63])
leaves = st.none() | st.booleans() | numbers | texts
jsons = st.recursive(
    leaves, lambda each: st.lists(each, max_size=3) | st.dictionaries(texts, each, max_size=3), max_leaves=8
)


def holders(value: Any) -> list[Any]:
    """Every object and list in `value`, from the outside in."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(each for child in inside for each in holders(child))] if isinstance(value, dict | list) else []


@st.composite
def mutated_specs(draw: st.DrawFn) -> Any:
    spec = copy.deepcopy(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(1, 3))):
        holder = draw(st.sampled_from(holders(spec)))
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            continue
        key = draw(st.sampled_from(keys))
        change = draw(st.sampled_from(["drop", "rename", "replace", "copy", "add", "nest", "retype"]))
        value = holder[key]
        if change == "drop":
            del holder[key]
        elif change == "rename" and isinstance(holder, dict):
            holder[draw(texts | st.just(str(key)[:-1]))] = holder.pop(key)
        elif change == "copy":
            holder[key] = copy.deepcopy(draw(st.sampled_from(holders(spec))))
        elif change == "add" and isinstance(holder, dict):
            holder[draw(texts)] = draw(jsons)
        elif change == "nest":
            for _ in range(draw(st.sampled_from([1, 2, 60, 300]))):
                value = [value] if draw(st.booleans()) else {"a": value}
            holder[key] = value
        elif change == "retype":
            holder[key] = draw(st.sampled_from([str(value), [value], {"name": value}, bool(value)]))
        else:
            holder[key] = draw(jsons)
    return spec


def judge(path: Path, catalogue: Catalogue, overrides: tuple[str, ...] = ()) -> Any:
    """The checked spec's resolved form, or the message; anything but an expected error goes through."""
    try:
        _, data = read_spec(path)
        checked = check_spec(data, catalogue, name=str(path), overrides=overrides)
    except (SpecError, PluginError) as error:
        message = str(error)
        assert not any(words in message for words in PYDANTICS_OWN_WORDS), message
        assert message.strip() == message
        return message
    resolved = checked.resolved()
    again = check_spec(json.loads(json.dumps(resolved)), catalogue)
    assert again.resolved() == resolved
    return resolved


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of values in values in values
@given(spec=mutated_specs())
def test_mutated_specs(spec, catalogue, validator, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_text(json.dumps(spec))
    verdict = judge(path, catalogue)
    if not isinstance(verdict, str):
        validator.validate(spec)  # the schema is the judge: nothing that it refuses may pass
        validator.validate(verdict)


@given(data=st.data())
def test_broken_texts(data, catalogue, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "broken.json"
    text = json.dumps(data.draw(st.sampled_from(SPECS))).encode()
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    junk = data.draw(
        st.binary(max_size=6)
        | st.sampled_from([b"NaN", b"1e999", b"-", b"0" * 5000, b"[" * 3000, b'"seed": 1,', b"\\u"])
    )
    path.write_bytes(text[:start] + junk + (text[stop:] if data.draw(st.booleans()) else b""))
    judge(path, catalogue)


@given(value=jsons)
def test_any_json(value, catalogue, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    assert isinstance(judge(path, catalogue), str), "no random JSON is a spec"


PATHS = st.sampled_from(
    ["optimizer", "optimizer.lr", "optimizer.name", "train.epochs", "input.size.0", "metrics.0", "metrics.1.average",
     "metrics.²", "seed", "train", "observers.0.file", "dataset.samples", "backbone", "a.b.c", "$schema"]
)  # fmt: skip


@given(
    assignments=st.lists(
        st.builds(
            "{}={}".format, PATHS | texts, texts | jsons.map(json.dumps) | st.sampled_from(["timm/resnet18", "{"])
        )
        | texts,
        min_size=1,
        max_size=3,
    ),
    spec=st.sampled_from(SPECS),
)
def test_any_set(assignments, spec, catalogue, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "set.json"
    path.write_text(json.dumps(spec))
    judge(path, catalogue, tuple(assignments))


@settings(max_examples=settings.default.max_examples // 10)
@given(spec=mutated_specs(), text=texts)
def test_the_command_says_the_same(spec, text, catalogue, tmp_path_factory):
    """The same through the command line, with and without --json: an exit code, one report, no exception."""
    path = tmp_path_factory.getbasetemp() / "command.json"
    path.write_text(json.dumps(spec))
    for extra in ([], ["--json"], ["--json", "--set", f"loss={text}"]):
        result = CliRunner().invoke(main, ["check", os.fspath(path), *extra])
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert result.exit_code in (0, 2, 3)
        if extra:
            assert json.loads(result.output)["valid"] == (result.exit_code == 0)
        else:
            assert result.output.startswith("Error: " if result.exit_code else str(path))
