"""The words of a check for options of every kind, the catalogue's defaults and clashes, and how options are listed."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, model_validator

import ftrun
from ftrun.cli.options import parts, parts_text
from ftrun.contracts.errors import PluginError
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.installed import Plugin
from ftrun.spec.check import InvalidSpec, check_spec
from ftrun.spec.model import json_schema
from ftrun.spec.specfile import json_or_text


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float = Field(gt=0)


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Data(ftrun.Dataset):
    """Made up."""

    name: Literal["data", "more-data"]
    default: ClassVar[bool] = True
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = Field(None, description="A shape.")
    size: int | Literal["auto"] = Field("auto", description="A number, or a word.")
    sizes: int | tuple[int, ...] = Field((), description="One or several.")
    tags: dict[str, int] = Field(default_factory=dict, description="Numbers by name.")
    words: tuple[str, ...] = Field((), max_length=2, description="A few words.")
    low: float = Field(0, description="Not above high.")
    high: float = Field(1, description="Not below low.")

    @model_validator(mode="after")
    def _in_order(self) -> "Data":
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def build(self) -> Any: ...


class Family(ftrun.Backbone):
    """A family."""

    name: Literal["fam.ily"]
    input_type = ftrun.InputSpec
    family: ClassVar[str | None] = "model"
    model: Literal["resnet", "swin"] = Field(description="Which one.")

    def build(self, overrides: Any) -> Any: ...


class Loss(ftrun.Loss):
    """A loss."""

    name: Literal["loss"]

    def build(self, target: Any, values: Any) -> Any: ...


class Optimizer(ftrun.Optimizer):
    """An optimizer."""

    name: Literal["opt"]

    def build(self, params: Any) -> Any: ...


def plugin(*offered: type[ftrun.Part], distribution: str = "a-plugin", version: str = "1", error: str = "") -> Plugin:
    return Plugin(distribution, version, "entry", "module", offered, error=error)


CATALOGUE = Catalogue([plugin(Data, Family, Loss, Optimizer)])


def spec(**changes: Any) -> dict[str, Any]:
    return {"dataset": "data", "backbone": "fam.ily/swin", "loss": "loss", "optimizer": "opt", **changes}


def mistakes(data: dict[str, Any], *overrides: str, catalogue: Catalogue = CATALOGUE) -> dict[str, str]:
    with pytest.raises(InvalidSpec) as caught:
        check_spec(data, catalogue, overrides=overrides)
    return {each.where: each.message for each in caught.value.mistakes}


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"shape": {"kind": "circel"}},
         {"dataset.shape": "must have one of 'circle', 'square' as its 'kind', but it is {\"kind\": \"circel\"}."}),
        ({"shape": {"radius": 1}},
         {"dataset.shape": "must be an object with 'kind', but it is {\"radius\": 1}."}),
        ({"shape": 3}, {"dataset.shape": "must be an object, but it is 3."}),
        ({"shape": {"kind": "circle", "radius": 0}},
         {"dataset.shape.radius": "must be greater than 0, but it is 0."}),
        ({"shape": {"kind": "circle"}}, {"dataset.shape.radius": "is required."}),
        ({"size": "atuo"}, {"dataset.size": "must be an integer or 'auto', but it is \"atuo\"."}),
        ({"sizes": "x"}, {"dataset.sizes": 'must be an integer or a list, but it is "x".'}),
        ({"sizes": [1, "x"]}, {"dataset.sizes.1": 'must be an integer, but it is "x".'}),
        ({"tags": {"int": "x"}}, {"dataset.tags.int": 'must be an integer, but it is "x".'}),
        ({"tags": []}, {"dataset.tags": "must be an object, but it is []."}),
        ({"words": ["a", "b", "c"]}, {"dataset.words": 'must have at most 2 items, but it is ["a", "b", "c"].'}),
        ({"words": "a"}, {"dataset.words": 'must be a list, but it is "a".'}),
        ({"low": 2}, {"dataset": "low must not be above high."}),
        ({"low": 1e999}, {"dataset.low": "must be a finite number, but it is Infinity."}),
        ({"words": ["x" * 100, 5]}, {"dataset.words.1": "must be a string, but it is 5."}),
        ({"size": [0] * 99}, {"dataset.size": f"must be an integer or 'auto', but it is {'[' + '0, ' * 25 + '0'}..."}),
    ],
)  # fmt: skip
def test_options_of_every_kind(options: dict[str, Any], wrong: dict[str, str]) -> None:
    found = mistakes(spec(dataset={"name": "data", **options}))
    assert list(found) == list(wrong)
    for where, message in wrong.items():
        assert found[where].startswith(message)


def test_a_family_is_written_short_or_long() -> None:
    long = {"name": "fam.ily", "model": "swin"}
    short = check_spec(spec(), CATALOGUE).resolved()
    assert short == check_spec(spec(backbone=long), CATALOGUE).resolved()
    assert short["backbone"] == long
    assert mistakes(spec(backbone="fam.ily/swim")) == {
        "backbone.model": "must be 'resnet' or 'swin', but it is \"swim\". Did you mean 'swin'?"
    }
    assert mistakes(spec(backbone={"name": "fam.ily/swin"})) == {
        "backbone": 'no backbone named \'fam.ily/swin\': as an object it is {"name": "fam.ily", "model": "swin"}.'
    }
    assert mistakes(spec(backbone="fam.ily")) == {"backbone.model": "is required."}
    (pattern,) = [
        each["pattern"]
        for each in json_schema(CATALOGUE)["properties"]["backbone"]["anyOf"]
        if each.get("type") == "string"
    ]
    assert pattern == r"^fam\.ily/."


def test_a_part_with_two_names_keeps_the_one_that_was_given() -> None:
    assert check_spec(spec(dataset="more-data"), CATALOGUE).dataset.name == "more-data"
    assert {each["name"] for each in parts(CATALOGUE, "dataset")} == {"data", "more-data"}


def test_the_default_part_is_taken_where_exactly_one_says_so() -> None:
    class Other(Data):
        """Also a default."""

        name: Literal["other"]  # type: ignore[assignment]

    class Plain(Data):
        """No default."""

        name: Literal["plain"]  # type: ignore[assignment]
        default = False

    left_out = {key: value for key, value in spec().items() if key != "dataset"}
    one = Catalogue([plugin(Plain, Family, Loss, Optimizer), plugin(Other, distribution="b")])
    assert check_spec(left_out, one).dataset.name == "other"
    assert "dataset" not in json_schema(one)["required"]
    assert mistakes(left_out, catalogue=CATALOGUE) == {"dataset": "is required. Installed: data, more-data."}


def test_a_clash_is_between_names_of_one_role() -> None:
    catalogue = Catalogue([
        plugin(Data, Family, Loss, Optimizer), plugin(Loss, distribution="b", version="2"),
        plugin(distribution="c", error="failed to import"),
    ])  # fmt: skip
    assert list(catalogue.clashes) == [("loss", "loss")]
    assert [each.distribution for each in catalogue.broken] == ["c"]
    with pytest.raises(PluginError, match=r"^loss: loss 'loss' comes from both a-plugin 1 and b 2"):
        check_spec(spec(), catalogue)
    assert catalogue.owner("optimizer", "opt").distribution == "a-plugin"


def test_set_leaves_the_callers_spec_alone() -> None:
    given = spec(train={"epochs": 1})
    assert check_spec(given, CATALOGUE, overrides=["train.epochs=2", "dataset.words.0=3"]).train.epochs == 2
    assert given == spec(train={"epochs": 1})


def test_set_gives_digits_as_text_only_where_text_is_wanted() -> None:
    checked = check_spec(spec(), CATALOGUE, overrides=["dataset.words.0=3", "dataset.size=3", "dataset.words.1=true"])
    assert isinstance(checked.dataset, Data)
    assert (checked.dataset.words, checked.dataset.size) == (("3", "true"), 3)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("1", 1), ("1e-3", 0.001), ("true", True), ("null", None), ('"1"', "1"), ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("a", "a"), ("", ""), ("1_000", "1_000"), ("0x10", "0x10"), ("1+1", "1+1"), ("NaN", "NaN"), ("'a'", "'a'"),
        ("True", "True"), ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}'), ("[" * 9999, "[" * 9999), ("9" * 999, "9" * 999),
    ],
)  # fmt: skip
def test_values_of_set(raw: str, value: Any) -> None:
    assert json_or_text(raw) == value
    assert type(json_or_text(raw)) is type(value)


def test_options_are_listed_with_their_types_and_defaults() -> None:
    data, _ = parts_text(parts(CATALOGUE, "dataset")).split("\n\n")
    assert (
        data
        == """\
data  (dataset, from a-plugin 1)
  Made up.
    shape  object or null              default null    A shape.
    size   integer or "auto"           default "auto"  A number, or a word.
    sizes  integer or list of integer  default []      One or several.
    tags   object of integer           optional        Numbers by name.
    words  list of string              default []      A few words.
    low    number                      default 0       Not above high.
    high   number                      default 1       Not below low."""
    )
    assert (
        parts_text(parts(CATALOGUE, "fam.ily"))
        == """\
fam.ily  (backbone, from a-plugin 1)
  A family.
    model  "resnet" or "swin"  required  Which one."""
    )
