"""`ftrun new-plugin`: what it makes works as it stands, installed for real; what it refuses to do changes nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from support import install, tiny_spec, write_spec

import ftrun as api
import ftrun_devkit
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun.spec.runspec import SLOTS

ROOT = Path(__file__).parents[1]
UV = os.environ.get("UV", "uv")
ROLES = [role.role for role in ROLE_OF_HOOK.values()]
KEYS = {slot.role.role: slot.key for slot in SLOTS}
IN_A_SPEC = pytest.mark.parametrize("role", KEYS)
VALUES = {slot.role.role: ["mine"] if slot.many else "mine" for slot in SLOTS}
EACH_ROLE = pytest.mark.parametrize("role", ROLES)
KINDS = [*ROLES, "command"]
EACH_KIND = pytest.mark.parametrize("role", KINDS)


def tree(folder):
    """Every path below a folder, and what is there."""
    return {
        str(path.relative_to(folder)): (
            path.read_text(errors="replace") if path.is_file() else "a folder" if path.is_dir() else "?"
        )
        for path in sorted(folder.rglob("*"))
    }


def make(ftrun, *arguments):
    result = ftrun("new-plugin", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


# What it makes


@EACH_KIND
def test_two_files_a_test_and_a_readme(role, site, ftrun):
    output = make(ftrun, role, "my-own")
    command = {
        "exporter": "ftrun export RUN --format my-own",
        "hub": "ftrun push RUN REPOSITORY --to my-own",
        "command": "ftrun my-own RUN",
    }
    use = f"On the command line:\n\n  {command.get(role)}\n"
    if role == "target":
        use = 'In a dataset:\n\n  ftrun.Splits(..., targets={"label": MyOwnTarget()})\n'
    if role in KEYS:
        value = '["my-own"]' if isinstance(VALUES[role], list) else '"my-own"'
        use = f'In a spec:\n\n  "{KEYS[role]}": {value}\n'
    assert output == (
        f"ftrun-my-own: made, with {role} 'my-own'. To install and test it:\n\n"
        f"  cd ftrun-my-own\n  pip install -e .\n  pytest\n\n{use}"
    )
    files = tree(Path("ftrun-my-own"))
    tests = ["tests/test_command.py"] * (role == "command") + ["tests/test_contract.py"]
    assert list(files) == ["README.md", "ftrun_my_own.py", "pyproject.toml", "tests", *tests]
    assert (
        files["tests/test_contract.py"]
        == '''\
"""The plugin keeps ftrun's contract: one test for each property and part."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_my_own")
'''
    )
    assert not [path for path, text in files.items() if "template" in text.lower()]
    assert list(Path().iterdir()) == [Path("ftrun-my-own")]
    readme = files["README.md"]
    shows = "ftrun my-own --help" if role == "command" else "ftrun plugins my-own"
    for wanted in (output.splitlines()[-1].strip(), "pip install -e .", "pytest", shows):
        assert wanted in readme


@EACH_KIND
def test_the_project_file(role, site, ftrun):
    make(ftrun, role, "my-own")
    file = tomllib.loads(Path("ftrun-my-own/pyproject.toml").read_text())
    project = file["project"]
    assert (project["name"], project["version"]) == ("ftrun-my-own", "0.1.0")
    described = f"{role.capitalize()} `my-own` for ftrun."  # the example's words are not the user's
    assert project["description"] == described
    assert project["description"] in Path("ftrun-my-own/README.md").read_text()
    assert project["entry-points"] == {"ftrun": {"my-own": "ftrun_my_own"}}
    of_core = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == of_core["requires-python"]
    core = of_core["dependencies"]
    torch = [each for each in core if each.startswith("torch")]
    click = [each for each in core if each.startswith("click")]
    of_role = {"command": click, "exporter": ["ftrun-export", *torch], "backbone": ["ftrun-inputs", *torch]}
    needs = {"scheduler": [], "recipe": [], "observer": [], "hub": [], **of_role}
    assert project["dependencies"] == ["ftrun", *needs.get(role, torch)]
    assert file["dependency-groups"]["dev"] == ["ftrun-devkit"]


@IN_A_SPEC
def test_it_runs_in_a_spec_as_it_stands(role, site, ftrun):
    make(ftrun, role, "mine")
    install(site, "ftrun-mine", Path("ftrun-mine/ftrun_mine.py").read_text())
    result = ftrun(write_spec(tiny_spec(**{KEYS[role]: VALUES[role]})), "--out", "run")
    assert result.exit_code == 0, result.output
    assert "observer mine" not in result.output, "it would be one that is dropped"
    epochs = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    if role == "metric":
        assert all(0 < epoch["val/mine"] < 2 for epoch in epochs)
    if role == "observer":
        assert Path("run/epochs.txt").read_text().splitlines()[-1].startswith("finished  best epoch ")


def test_the_exporter_exports_as_it_stands(site, ftrun):
    make(ftrun, "exporter", "mine")
    install(site, "ftrun-mine", Path("ftrun-mine/ftrun_mine.py").read_text())
    assert ftrun(write_spec(tiny_spec()), "--out", "run").exit_code == 0
    result = ftrun("export", "run", "--format", "mine", "--set", "separator=,")
    assert result.exit_code == 0, result.output
    assert Path("run/exports/run.label.txt").read_text() == "class 0,class 1,class 2"


def test_the_hub_takes_a_run_as_it_stands(site, ftrun):
    make(ftrun, "hub", "mine")
    install(site, "ftrun-mine", Path("ftrun-mine/ftrun_mine.py").read_text())
    assert ftrun(write_spec(tiny_spec()), "--out", "run").exit_code == 0
    result = ftrun("push", "run", "somebody/net", "--to", "mine", "--set", "path=there", "--private")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("pushed: there/somebody/net\n")
    there = tree(Path("there/somebody/net"))
    assert there["results.json"] == Path("run/results.json").read_text()
    assert set(there) == {
        *("README.md", "message.txt", "metrics.jsonl", "model.safetensors"),
        *("net.json", "resolved.json", "results.json"),
    }
    again = ftrun("push", "run", "somebody/net", "--to", "mine", "--set", "path=there")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    wrong = ftrun("push", "run", "../net", "--to", "mine")
    assert (wrong.exit_code, "../net: a repository is letters" in wrong.output) == (2, True)


@EACH_ROLE
def test_its_class_and_its_options_are_described(role, site, ftrun):
    make(ftrun, role, "mine")
    install(site, "ftrun-mine", Path("ftrun-mine/ftrun_mine.py").read_text())
    (part,) = json.loads(ftrun("plugins", "mine", "--json").output)
    assert (part["role"], part["key"], part["distribution"]) == (role, KEYS.get(role), "ftrun-mine")
    assert part["summary"].endswith(".")
    assert all(option["description"].endswith(".") and "default" in option for option in part["options"])


def test_every_role_has_a_template():
    assert [role.role for role in ROLE_OF_HOOK.values()] == ROLES
    templates = ROOT / "plugins" / "ftrun-devkit" / "src" / "ftrun_devkit" / "scaffold" / "templates"
    assert {path.stem for path in templates.glob("*.py")} == {"__init__", *KINDS}
    version = api.API_VERSION
    for role in KINDS:
        assert f'\nFTRUN_API = "{version}"' in (templates / f"{role}.py").read_text()


@pytest.mark.parametrize("name", ["x", "x" * 40])
def test_the_code_is_clean_by_ruffs_own_rules_and_by_ours(name, site, ftrun):
    for role in KINDS:
        Path(role).mkdir()
        make(ftrun, role, name, "--into", role)
    ours = ["--config", str(ROOT / "pyproject.toml")]
    for arguments in (["check"], ["format", "--check"]):
        for settings in (["--isolated"], ours):
            command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", *settings, "."]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_loads_torch_when_it_is_imported(site, ftrun):
    modules = [f"ftrun_{role}_of_mine" for role in KINDS]
    for role in KINDS:
        make(ftrun, role, f"{role}-of-mine")
    folders = [str(path) for path in Path().glob("ftrun-*")]
    code = f"import sys; sys.path += {folders}; import {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("given", "name", "of_class"),
    [
        ("lion", "lion", "LionOptimizer"),
        ("ftrun-lion", "lion", "LionOptimizer"),
        ("a-2b-c3", "a-2b-c3", "A2bC3Optimizer"),
        ("my-optimizer", "my-optimizer", "MyOptimizer"),
        ("none", "none", "NoneOptimizer"),  # `class None` would be no Python
        ("field", "field", "FieldOptimizer"),  # `class Field` would hide pydantic's
        ("optimizer", "optimizer", "Optimizer"),
        ("template", "template", "TemplateOptimizer"),
    ],
)
def test_names(given, name, of_class, site, ftrun):
    make(ftrun, "optimizer", given)
    module = f"ftrun_{name.replace('-', '_')}"
    code = Path(f"ftrun-{name}/{module}.py").read_text()
    assert f"\nclass {of_class}(ftrun.Optimizer):\n" in code
    install(site, f"ftrun-{name}", code)
    result = ftrun(write_spec(tiny_spec(optimizer=name, train={"epochs": 1})))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("role", ["augmentation", "augmentations", "augment"])
def test_a_role_goes_by_its_plural_and_its_key_too(role, site, ftrun):
    assert "augmentation 'mine'" in make(ftrun, role, "mine")


def test_into_another_folder(site, ftrun):
    Path("else where").mkdir()
    output = make(ftrun, "loss", "mine", "--into", "else where")
    assert list(Path("else where").iterdir()) == [Path("else where/ftrun-mine")]
    assert "\n  cd 'else where/ftrun-mine'\n" in output


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["optimiser", "mine"],
            "no role named 'optimiser'. Did you mean 'optimizer'? Roles: dataset, target, sampler, backbone, "
            "modifier, head, augmentation, loss, objective, optimizer, scheduler, metric, recipe, observer, exporter, "
            "hub, command.",
        ),
        (["Mine", "loss"], "no role named 'Mine'. Roles: dataset, "),
        (["loss", "Focal_Loss"], "'Focal_Loss' is no name for a plugin: it has to be lower-case letters and digits, "),
        (["loss", "Focal_Loss"], " Did you mean 'focal-loss'?\n"),
        (["loss", "2nd"], "and begin with a letter. Did you mean 'nd'?\n"),
        (["loss", "été"], "'été' is no name for a plugin: "),
        (["loss", "a--b"], "'a--b' is no name for a plugin: "),
        (["loss", "a-"], "'a-' is no name for a plugin: "),
        (["loss", "a\n"], "'a\\n' is no name for a plugin: "),
        (["loss", "../a"], "'../a' is no name for a plugin: "),
        (["loss", ""], "'' is no name for a plugin: "),
        (["loss", "ftrun-"], "'ftrun-' is no name for a plugin: "),
        (["loss", "a" * 41], "is too long for a plugin's name: at most 40 characters.\n"),
        (["loss", "lambda"], "'lambda' is no name for a plugin: it is a word of Python's own. "),
        (["loss", "tiny"], "ftrun-tiny 1.0 is installed already. Choose another name.\n"),
        (["loss", "ftrun-tiny"], "ftrun-tiny 1.0 is installed already. Choose another name.\n"),
        (["loss", "tiny-loss"], "ftrun-tiny 1.0 offers loss 'tiny-loss' already, and two of a name clash. "),
        (["command", "evaluate"], "'evaluate' is a command of ftrun's own. Choose another name.\n"),
        (["command", "check-plugin"], "'check-plugin' is a command of ftrun's own. Choose another name.\n"),
        (["loss", "mine", "--into", "nowhere"], "--into nowhere: there is no such folder.\n"),
    ],
)
def test_what_the_command_line_has_wrong(arguments, message, site, ftrun):
    result = ftrun("new-plugin", *arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert list(Path().iterdir()) == []


def test_a_name_that_another_role_has_is_free(site, ftrun):
    make(ftrun, "loss", "tiny-sgd")


def test_a_command_that_another_plugin_has(site, ftrun):
    make(ftrun, "command", "mine")
    install(site, "ftrun-other", Path("ftrun-mine/ftrun_mine.py").read_text())
    shutil.rmtree("ftrun-mine")
    result = ftrun("new-plugin", "commands", "mine")
    assert (result.exit_code, list(Path().iterdir())) == (2, [])
    assert "ftrun-other 1.0 offers command 'mine' already, and two of a name clash. Choose another" in result.output
    make(ftrun, "loss", "mine")


def test_the_command_works_as_it_stands(site, ftrun):
    make(ftrun, "command", "mine")
    install(site, "ftrun-mine", Path("ftrun-mine/ftrun_mine.py").read_text())
    assert ftrun(write_spec(tiny_spec()), "--out", "run").exit_code == 0
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    epochs = {each["epoch"]: each["val/loss"] for each in lines}
    listed = json.loads(ftrun("mine", "run", "--json").output)
    assert {each["epoch"]: each["val/loss"] for each in listed} == epochs
    first, *rows = ftrun("mine", "run").output.splitlines()
    assert (first.split(), len(rows)) == (["epoch", "val/loss"], 2)
    assert rows[0].split()[0] == str(min(epochs, key=epochs.get))
    wrong = ftrun("mine", "run", "--metric", "val/los")
    assert (wrong.exit_code, wrong.output) == (
        2,
        "Error: --metric val/los: run has no such metric. Did you mean 'val/loss'?\n",
    )


def test_a_name_that_already_clashes(site, ftrun):
    make(ftrun, "loss", "mine")
    for number in "12":
        install(site, f"ftrun-{number}", Path("ftrun-mine/ftrun_mine.py").read_text(), module=f"ftrun_mine_{number}")
    shutil.rmtree("ftrun-mine")
    result = ftrun("new-plugin", "loss", "mine")
    assert (result.exit_code, list(Path().iterdir())) == (3, [])
    assert "loss 'mine' comes from both ftrun-1 1.0 and ftrun-2 1.0." in result.output


@pytest.mark.parametrize("there", ["a plugin", "an empty folder", "a file", "a link to nothing"])
def test_it_never_overwrites(there, site, ftrun):
    folder = Path("ftrun-mine")
    if there == "a plugin":
        make(ftrun, "loss", "mine")
        (folder / "ftrun_mine.py").write_text("# changed\n")
    elif there == "an empty folder":
        folder.mkdir()
    elif there == "a file":
        folder.write_text("text")
    else:
        folder.symlink_to("nowhere")
    before = tree(Path())
    result = ftrun("new-plugin", "optimizer", "mine")
    assert result.exit_code == 2
    assert result.output == (
        "Error: ftrun-mine: exists already, and is left as it is. Choose another name, or remove it.\n"
    )
    assert tree(Path()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE and /proc")
def test_where_it_cannot_write_nothing_is_left(site, ftrun):
    full = "import sys, resource; sys.dont_write_bytecode = True; "
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
    code = full + "import sys; from ftrun.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "new-plugin", "optimizer", "mine"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "Error: ftrun-mine: cannot be written: File too large. Nothing was left behind.\n"
    assert list(Path().iterdir()) == []
    result = ftrun("new-plugin", "optimizer", "mine", "--into", "/proc")
    assert result.exit_code == 1
    assert result.output.startswith("Error: /proc/ftrun-mine: cannot be written: ")


# Installed for real, with nothing else of ftrun's but the core and the kit


@pytest.fixture(scope="session")
def third_party(tmp_path_factory):
    """All that is installed here but ftrun and what is named after it, as links."""
    folder = tmp_path_factory.mktemp("third-party")
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        # A .pth file would bring in what is installed from a source folder.
        if not each.name.startswith(("ftrun", "_editable_impl_ftrun")) and each.suffix != ".pth":
            (folder / each.name).symlink_to(each)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """The core and the kit as they would be published."""
    folder = tmp_path_factory.mktemp("wheels")
    offline = ["--wheel", "--offline", "--no-build-isolation", "--out-dir", folder, "--python", sys.executable]
    # The kit exports runs, and tries parts on images.
    for source in ("core", "plugins/ftrun-devkit", "plugins/ftrun-export", "plugins/ftrun-inputs"):
        uv("build", *offline, source)
    return sorted(folder.glob("*.whl"))


@pytest.fixture
def environment(third_party, wheels, tmp_path, monkeypatch):
    """The programs of a fresh environment that has the core and the kit, and what they need."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    home = tmp_path / "environment"
    uv("venv", "--python", sys.executable, home)
    (site_packages,) = home.glob("[Ll]ib/**/site-packages")
    (site_packages / "third-party.pth").write_text(f"{third_party}\n")
    programs = home / Path(sysconfig.get_path("scripts")).name
    pip_install(programs, *wheels)
    monkeypatch.chdir(tmp_path)
    return programs


def uv(*arguments):
    done = subprocess.run(
        [UV, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def pip_install(programs, *what):
    offline = ["--offline", "--no-deps", "--no-build-isolation"]
    uv("pip", "install", "--python", programs / "python", *offline, *what)


def output_of(program, *arguments, **options):
    """What a program prints. A warning is an error."""
    options = {"cwd": ".", "env": os.environ | {"PYTHONWARNINGS": "error"}} | options
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_installed_for_real_they_are_listed_keep_the_contract_and_run_together(environment):
    names = {role: f"my-{role}" for role in KINDS}
    for role, name in names.items():
        output_of(environment / "ftrun", "new-plugin", role, name)
    folders = [Path(f"ftrun-{name}").absolute() for name in names.values()]
    pip_install(environment, *folders)
    listed = json.loads(output_of(environment / "ftrun", "plugins", "--json"))
    assert listed["broken"] == listed["clashes"] == []
    found = {(plugin["distribution"], plugin["version"]): plugin for plugin in listed["plugins"]}
    for of_ours in ("ftrun-devkit", "ftrun-export"):
        del found[of_ours, api.__version__]
    assert set(found) == {(folder.name, "0.1.0") for folder in folders}
    parts = [(part["role"], part["name"]) for each in found.values() for part in each["parts"]]
    commands = [("command", command["name"]) for each in found.values() for command in each["commands"]]
    assert dict(parts + commands) == names
    said = output_of(environment / "python", "-m", "pytest", "-q", "--import-mode=importlib", *folders)
    assert " passed" in said
    assert len(re.findall(r" (failed|error|skipped|warning)", said)) == 0
    parts = {KEYS[role]: [names[role]] if isinstance(VALUES[role], list) else names[role] for role in KEYS}
    for left_out in ("head", "modifiers"):  # the head takes the map, and the modifier changes the embedding
        some = {key: value for key, value in parts.items() if key != left_out}
        output_of(environment / "ftrun", write_spec(ftrun_devkit.tiny_spec(**some)), "--out", left_out)
        assert json.loads(Path(left_out, "results.json").read_text())["best_epoch"] in (1, 2)
        assert Path(left_out, "epochs.txt").exists()  # the observer's


def test_an_editable_install_follows_its_source(environment):
    output_of(environment / "ftrun", "new-plugin", "optimizer", "mine")
    pip_install(environment, "-e", Path("ftrun-mine").absolute())
    module = Path("ftrun-mine/ftrun_mine.py")
    module.write_text(module.read_text().replace('Literal["mine"]', 'Literal["mine", "my-own"]'))
    assert "my-own" in output_of(environment / "ftrun", "plugins", "my-own")


def test_a_wheel_holds_the_module_alone(tmp_path, site, ftrun):
    make(ftrun, "optimizer", "mine")
    folder = Path("ftrun-mine").absolute()
    arguments = ["--offline", "--no-build-isolation", "--out-dir", tmp_path, "--python", sys.executable]
    uv("build", *arguments, folder)  # the source first, and the wheel from that
    with zipfile.ZipFile(tmp_path / "ftrun_mine-0.1.0-py3-none-any.whl") as wheel:
        assert [name for name in wheel.namelist() if ".dist-info/" not in name] == ["ftrun_mine.py"]
