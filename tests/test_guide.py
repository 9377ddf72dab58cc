"""What docs/plugins says is true: its code is the example's and works, its tables are whole, its commands exist."""

import inspect
import json
import math
import re
import shlex
import tomllib
from pathlib import Path

import click
import pasting
import pytest
import test_new_plugin as fresh
from support import install, tiny_spec, write_spec

import ftrun as api
import ftrun_devkit
from ftrun.cli import main
from ftrun.contracts import events, hooks
from ftrun.plugins.load import load_plugins
from ftrun_devkit.suite import checks_of, find_plugin, properties_of

ROOT = Path(__file__).parents[1]
PAGES = {
    path.stem: path.read_text() for path in sorted((ROOT / "docs" / "plugins").rglob("*.md")) if path.stem != "index"
}
FIRST = (ROOT / "docs" / "plugins" / "index.md").read_text()
GUIDE = "\n".join([FIRST, *PAGES.values()])
EXAMPLE = ROOT / "examples" / "ftrun-example-plugin"
ROLES = [role.role for role in hooks.ROLE_OF_HOOK.values()]

# An environment with the core alone, as `ftrun new-plugin` is tested in.
third_party, wheels, environment = fresh.third_party, fresh.wheels, fresh.environment


def blocks(language, text=GUIDE):
    """Return the code of each block of a language."""
    return re.findall(rf"^```{language}(?: [^\n]*)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


EXAMPLES = {
    role: code for role in ROLES for code in blocks("python", PAGES[role]) if "@ftrun.hookimpl\ndef ftrun_" in code
}


# (a) The quoted code is the example's


@pytest.mark.parametrize(
    ("language", "path"),
    [("toml", "pyproject.toml"), ("python", "ftrun_example_plugin.py"), ("python", "tests/test_contract.py")],
)
def test_the_quoted_code_is_the_examples(language, path):
    assert (EXAMPLE / path).read_text() in blocks(language)


# (b) The lists of hooks


def signature(function):
    text = str(inspect.signature(function))
    for module in ("collections.abc.", "typing.", "ftrun.contracts.events."):
        text = text.replace(module, "")
    return function.__name__ + re.sub(r"ftrun\.contracts\.\w+\.", "ftrun.", text)


def test_the_lists_have_every_hook_with_its_signature_and_no_other():
    known = [f"{hook}() -> Iterable[type[ftrun.{role.__name__}]]" for hook, role in hooks.ROLE_OF_HOOK.items()]
    known += [
        signature(member)
        for module in (hooks, events)
        for name, member in vars(module).items()
        if name.startswith("ftrun_")
    ]
    assert len(known) == len(hooks.HOOKS) + 5
    assert re.findall(r"^- `(ftrun_\w+\(.*?)`: ", GUIDE, re.MULTILINE) == known


@pytest.mark.parametrize("record", [api.RunInfo, api.EpochInfo, api.FinishedRun])
def test_the_records_fields_are_listed(record):
    text = PAGES["hooks"]
    for field in record.__dataclass_fields__:
        assert f"`{field}`" in text


# (c) The contracts by role


def test_every_role_has_a_page_that_lists_its_properties():
    for role in ROLES:
        assert PAGES[role].rstrip().endswith(f"<!-- properties: {role} -->")


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_class_variables_are_listed(role):
    (part,) = [each for each in hooks.ROLE_OF_HOOK.values() if each.role == role]
    for name in set(inspect.get_annotations(part)) - {"role", "family", "default", "name"}:
        assert f"`{name}`" in PAGES[role]


# (d) What it shows is run


def test_local_parts_as_it_shows_them(site, ftrun):
    code = next(block for block in blocks("python") if "ftrun_schedulers" in block)
    (spec,) = blocks("json")
    Path("ftrun_parts.py").write_text(code)
    write_spec(spec, "falling.json")
    assert ftrun("check", "falling.json").exit_code == 0
    assert "floor" in ftrun("plugins", "falling", "--parts", "ftrun_parts.py").output
    quick = [f"{key}={json.dumps(value)}" for key, value in tiny_spec().items()]
    result = ftrun("falling.json", "--out", "run", *(word for each in quick for word in ("--set", each)))
    assert result.exit_code == 0, result.output
    rates = [json.loads(line)["lr"] for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[1]


@pytest.fixture
def example(environment):
    """Return the folder of the example plugin, which is installed in an environment of its own."""
    folder = Path("plugin").absolute()
    (folder / "tests").mkdir(parents=True)
    for path in ("pyproject.toml", "README.md", "ftrun_example_plugin.py", "tests/test_contract.py"):
        (folder / path).write_text((EXAMPLE / path).read_text())
    fresh.pip_install(environment, folder)
    return folder


def test_the_example_installed_for_real(environment, example):
    assert "epsilon" in fresh.output_of(environment / "ftrun", "plugins", "poly")
    checked = fresh.output_of(
        environment / "ftrun", "check-plugin", "ftrun-example-plugin", "--set", "poly.epsilon=0.5", "--json"
    )
    assert [each["property"] for each in json.loads(checked)] == [each.name for each in properties_of("loss")]


@pytest.mark.slow
def test_the_example_tests_itself_and_runs(environment, example):
    assert " passed" in fresh.output_of(environment / "python", "-m", "pytest", "-q", cwd=example)
    (tiny,) = environment.parent.glob("[Ll]ib/**/site-packages/ftrun_devkit/tiny.py")
    spec = write_spec(ftrun_devkit.tiny_spec(loss={"name": "poly", "epsilon": 0.5}))
    fresh.output_of(environment / "ftrun", spec, "--parts", tiny, "--out", "run")
    assert json.loads(Path("run/results.json").read_text())["best_epoch"] in (1, 2)


def images(place):
    """A CSV file of images, two classes of ten each in two splits."""
    from PIL import Image

    lines = ["file,label,split"]
    for index in range(20):
        name, color = (("blue", (0, 0, 200)), ("red", (200, 0, 0)))[index % 2]
        Image.new("RGB", (10, 8), tuple(part + index for part in color)).save(place / f"{index}.png")
        lines.append(f"{index}.png,{name},{'train' if index < 12 else 'test'}")
    (place / "images.csv").write_text("\n".join(lines))
    return {"path": str(place / "images.csv")}


@pytest.mark.parametrize("role", EXAMPLES)
def test_the_examples_of_the_roles_keep_the_contract(role, site, tmp_path):
    install(site, "ftrun-guide", EXAMPLES[role])
    installed = load_plugins()
    options = {"csv-images": images} if role == "dataset" else {}
    checks = checks_of(find_plugin("ftrun_guide", installed), options=options, installed=installed)
    assert len(checks) == len(properties_of(role))
    for number, check in enumerate(checks):
        (tmp_path / str(number)).mkdir()
        check.run(tmp_path / str(number))


def test_the_kind_of_input_that_it_writes(site, ftrun, tmp_path):
    """It keeps the contract, and goes from files in folders to predictions for files."""
    (code,) = blocks("python", PAGES["another-input"])
    install(site, "ftrun-series", code)
    installed = load_plugins()
    wanted = ("padding-changes-nothing", "exports", "input-spec", "overrides-applied", "samples-apart")
    checks = [each for each in checks_of(find_plugin("ftrun_series", installed), installed=installed)
              if each.property.name in wanted]  # fmt: skip
    assert len(checks) == len(wanted)
    for number, check in enumerate(checks):
        (tmp_path / str(number)).mkdir()
        check.run(tmp_path / str(number))
    Path("data.py").write_text(_SERIES)
    for kind, speed in (("slow", 0.2), ("fast", 1.5)):
        Path(kind).mkdir()
        for length in range(20, 32):
            Path(kind, f"{length}.series").write_text("\n".join(str(math.sin(speed * n)) for n in range(length)))
    spec = {"dataset": "series", "backbone": "series-net", "parts": "data.py", "metrics": [],
            "train": {"epochs": 6, "batch_size": 8, "val_fraction": 0.2}}  # fmt: skip
    spec = tiny_spec(**spec, optimizer={"name": "adam", "lr": 0.05}, loss="cross-entropy")
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "decoding 24 samples, once" in result.output
    found = json.loads(ftrun("predict", "run", "slow", "fast", "--json").stdout)
    assert [max(each["label"]) for each in found] == [Path(each["file"]).parent.name for each in found]
    assert len(found) == 24
    Path("bad.series").write_text("x")
    assert "bad.series cannot be read: could not convert" in ftrun("predict", "run", "bad.series").output


_SERIES = """
from pathlib import Path
from typing import Literal
import ftrun
from ftrun_series import SeriesInput
class Files:
    def __init__(self, files, names):
        import torch
        self.files = files
        self.columns = {"label": torch.tensor([names.index(each.parent.name) for each in files])}
        self.fingerprint = ftrun.files_fingerprint(files, None)
    def __len__(self):
        return len(self.files)
    def __getitem__(self, index):
        return SeriesInput().read(self.files[index]), {"label": self.columns["label"][index]}
class Series(ftrun.Dataset):
    name: Literal["series"]
    input_kind = "series"
    def build(self):
        names = ("fast", "slow")
        files = Files([file for name in names for file in sorted(Path(name).iterdir())], names)
        return ftrun.Splits(train=files, targets={"label": ftrun.Classes(names=names)})
@ftrun.hookimpl
def ftrun_datasets():
    return [Series]
"""


def test_the_data_errors_of_the_csv_example(site, tmp_path):
    module = {"__name__": "guide"}
    exec(compile(EXAMPLES["dataset"], "guide", "exec"), module)
    images(tmp_path)
    file = tmp_path / "images.csv"

    def build():
        return module["CsvImages"](name="csv-images", path=file).build()

    (tmp_path / "0.png").write_text("no image")
    with pytest.raises(api.DataError, match=r"0\.png cannot be read"):
        build().train[0]
    for text, message in [
        ("file,label,split\n1.png,red,test\n", "no row whose split is train"),
        ("file,split\n1.png,train\n", "no column 'label'"),
    ]:
        file.write_text(text)
        with pytest.raises(api.DataError, match=message):
            build()
    file.unlink()
    with pytest.raises(api.DataError, match="cannot be read: No such file"):
        build()


def test_the_command_that_it_writes(site, ftrun):
    for block in pasting.blocks(ROOT / "docs" / "plugins" / "command.md"):
        (site / block.title).parent.mkdir(exist_ok=True)
        (site / block.title).write_text(block.code)
    project = tomllib.loads((site / "pyproject.toml").read_text())["project"]
    ((_, module),) = project["entry-points"]["ftrun"].items()
    install(site, project["name"], "", module=module)
    (site / f"{module}.py").unlink()  # it is a package
    assert "leaderboard" in ftrun("--help").output
    for epochs in (1, 2):
        result = ftrun(write_spec(tiny_spec(train={"epochs": epochs, "batch_size": 16})), "--out", f"runs/{epochs}")
        assert result.exit_code == 0, result.output
    listed = json.loads(ftrun("leaderboard", "--metric", "loss", "--json").output)
    assert {row["run"] for row in listed} == {"1", "2"}
    assert listed[0]["loss"] > listed[1]["loss"]
    assert ftrun("leaderboard", "nowhere").exit_code == 2


def commands():
    """Every `ftrun ...` that it shows, in a block or in a line, in words."""
    inline = re.findall(r"`(ftrun [^`]+)`", GUIDE)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("ftrun ")]
    return [shlex.split(each, comments=True)[1:] for each in inline + lines]


def every_command():
    context = click.Context(main)
    return {name: main.get_command(context, name) for name in main.list_commands(context)}


def test_every_command_that_it_shows_exists_with_its_options():
    shown, known = commands(), every_command()
    assert len(shown) > 10
    for words in shown:
        name = words[0] if words[0] in known else "run"
        assert name != "run" or words[0].endswith(".json") or words[0] == "--help", words
        _has_options(known[name], words)
    assert {"check-plugin", "new-plugin", "plugins", "check", "verify-resume"} <= {words[0] for words in shown}


def _has_options(command, words):
    known = {option for each in command.get_params(click.Context(command)) for option in each.opts}
    for word in words:
        assert not word.startswith("-") or word in known, words


def test_every_option_that_it_names_is_some_commands():
    known = {"--help", "--metric"}  # the second is the leaderboard's, which the guide writes
    known |= {option for command in every_command().values() for each in command.params for option in each.opts}
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", GUIDE):
        assert option in known, option


# (e) Public names


def test_every_public_name_is_mentioned_and_no_other():
    mentioned = set(re.findall(r"(?<![\w.-])ftrun\.([A-Za-z_]\w*)", GUIDE))
    assert mentioned - {"commands"} == set(api.__all__)
    of_devkit = set(re.findall(r"(?<![\w.-])ftrun_devkit\.([A-Za-z_]\w*)", GUIDE))
    of_devkit |= set(re.findall(r"from ftrun_devkit import (\w+)", GUIDE))
    assert of_devkit - {"tiny"} <= set(ftrun_devkit.__all__)  # a module, whose parts a file of tiny parts imports
