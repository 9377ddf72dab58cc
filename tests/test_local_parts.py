"""Parts of a project's own, in a file that a spec names: loaded there alone, under the contract of every plugin."""

import builtins
import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import warm
from support import TINY, StopAt, ftrun_process, install, tiny_spec, write_spec

from ftrun.contracts.errors import Interrupted
from ftrun.plugins.catalogue import installed
from ftrun.plugins.localparts import PartsFile
from ftrun.spec.check import check_spec
from ftrun.train import begin

HOOKS = """
@ftrun.hookimpl
def ftrun_datasets():
    return [TinyDataset]


@ftrun.hookimpl
def ftrun_backbones():
    return [TinyBackbone]
"""
PARTS = TINY.partition("class TinyOptimizer")[0].replace('"tiny"', '"mine"') + HOOKS
MINE = {"dataset": "mine", "backbone": "mine", "parts": "ftrun_parts.py"}
IMPORTED = "\nimport builtins\nbuiltins.ftrun_was_imported = True\n"


def was_imported():
    return vars(builtins).pop("ftrun_was_imported", False)


@pytest.fixture
def local(alone):
    """The working folder of a project with parts of its own."""
    Path("ftrun_parts.py").write_text(PARTS)
    return Path.cwd()


def weights(folder):
    return [(folder / "checkpoints" / each / "model.safetensors").read_bytes() for each in ("best", "last")]


# Where it is named, and only there


def test_the_file_is_loaded_only_where_a_spec_names_it(alone, ftrun):
    Path("ftrun_parts.py").write_text(PARTS + IMPORTED)
    for arguments in (["plugins"], ["schema"], ["check", write_spec(tiny_spec())]):
        assert ftrun(*arguments).exit_code == 0
    result = ftrun("check", write_spec(tiny_spec(dataset="mine", backbone="mine")))
    assert result.exit_code == 2
    assert "no dataset named 'mine'" in result.output
    assert not was_imported()
    assert ftrun("check", write_spec(tiny_spec(**MINE))).exit_code == 0
    assert was_imported()


def test_a_spec_names_it_relative_to_its_own_folder(local, ftrun):
    Path("specs/parts").mkdir(parents=True)
    Path("ftrun_parts.py").rename("specs/parts/own_parts.py")
    spec = tiny_spec(**MINE | {"parts": "parts/own_parts.py"})
    assert ftrun("check", write_spec(spec, "specs/spec.json")).exit_code == 0
    assert ftrun("check", write_spec(spec, "spec.json")).exit_code == 2
    spec["parts"] = str(Path("specs/parts/own_parts.py").absolute())
    assert ftrun("check", write_spec(spec, "spec.json")).exit_code == 0


def test_set_names_it_as_the_spec_would(local, ftrun):
    Path("specs").mkdir()
    Path("ftrun_parts.py").rename("specs/own_parts.py")
    spec = write_spec(tiny_spec(dataset="mine", backbone="mine"), "specs/spec.json")
    for setting in ("parts=own_parts.py", 'parts="own_parts.py"'):
        result = ftrun("check", spec, "--set", "parts=nowhere.py", "--set", setting, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["spec"]["parts"] == "own_parts.py"
    spec = write_spec(tiny_spec(parts="nowhere.py"))
    assert ftrun("check", spec, "--set", "parts=null").exit_code == 0


def test_the_option_names_it_relative_to_the_working_folder_and_wins(local, ftrun):
    Path("specs").mkdir()
    spec = write_spec(tiny_spec(**MINE | {"parts": "nowhere.py"}), "specs/spec.json")
    for command in ("check", "run"):
        result = ftrun(command, spec, "--parts", "ftrun_parts.py")
        assert result.exit_code == 0, result.output
    assert json.loads(Path("runs/spec-1/resolved.json").read_text())["spec"]["parts"] == "parts/ftrun_parts.py"


def test_listings_and_the_schema_know_it_where_it_is_named(local, ftrun):
    listed = ftrun("plugins", "--parts", "ftrun_parts.py").output
    assert "ftrun_parts.py (local)\n  dataset   mine  Grey images, 8x8, whose class shows as brightness.\n" in listed
    assert "  backbone  mine  One convolution with batch normalisation.\n" in listed
    shown = ftrun("plugins", "mine", "--parts", "ftrun_parts.py").output
    assert "mine  (backbone, from ftrun_parts.py (local))" in shown
    schema = ftrun("schema", "--parts", "ftrun_parts.py").output
    assert '"const": "mine"' in schema
    assert json.loads(schema)["properties"]["parts"]["description"].startswith("Python file ")
    assert '"const": "mine"' not in ftrun("schema").output


@pytest.mark.parametrize("name", ["mine", "ftrun_parts.py", "ftrun_parts"])
def test_why(name, local, ftrun):
    (found, *_) = json.loads(ftrun("plugins", "--why", name, "--parts", "ftrun_parts.py", "--json").output)
    assert (found["distribution"], found["version"], found["state"]) == ("ftrun_parts.py", "(local)", "loaded")
    assert found["file"] == "ftrun_parts.py"


def test_plugins_that_are_left_out_have_nothing_to_do_with_it(local, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_PLUGINS", "")
    listed = json.loads(ftrun("plugins", "--parts", "ftrun_parts.py", "--json").output)
    assert [each["distribution"] for each in listed["plugins"]] == ["ftrun_parts.py"]


# What is wrong with it


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("ftrun_prts.py", "parts: no such file: ftrun_prts.py. Did you mean 'ftrun_parts.py'?"),
        ("zzz.py", "parts: no such file: zzz.py."),
        ("nowhere/ftrun_parts.py", "parts: no such file: nowhere/ftrun_parts.py."),
        ("ftrun_parts.py/x.py", "parts: no such file: ftrun_parts.py/x.py."),
        ("folder.py", "parts: folder.py is a folder. Name the Python file that the parts are in."),
        ("json.py", "parts: json.py: there is a module named 'json' already ({}). Rename the file."),
        ("sys.py", "parts: sys.py: there is a module named 'sys' already (built-in). Rename the file."),
        ("this.py", "parts: this.py: there is a module named 'this' already ({}). Rename the file."),
        ("ftrun_tiny.py", "parts: ftrun_tiny.py: there is a module named 'ftrun_tiny' already ({}). Rename the file."),
        *(
            (name, f"parts: {name} cannot be a module. Local parts are in one Python file whose name is letters, "
             "digits and '_', such as ftrun_parts.py.")
            for name in ("ftrun-parts.py", "1.py", "class.py", "ftrun_parts", "ftrun_parts.txt", ".", "a.b.py")
        ),
        ("", 'parts: must have at least 1 character, but it is "".'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded(parts, message, local, ftrun, site):
    Path("folder.py").mkdir()
    for name in ("json.py", "sys.py", "this.py", "ftrun_tiny.py"):
        Path(name).write_text(PARTS)
    place = site / "ftrun_tiny.py"
    if "{}" in message and parts != "ftrun_tiny.py":
        from importlib.util import find_spec

        place = find_spec(parts.removesuffix(".py")).origin
    result = ftrun("check", write_spec(tiny_spec(parts=parts)))
    assert (result.output, result.exit_code) == (f"Error: spec.json: {message.format(place)}\n", 2)
    if parts:
        result = ftrun("plugins", "--parts", parts)
        assert (result.output, result.exit_code) == (f"Error: --{message.format(place)}\n", 2)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (5, "parts: must be a string, but it is 5."),
        ([], "parts: must be a string, but it is []."),
        ({"name": "x"}, 'parts: must be a string, but it is {"name": "x"}.'),
    ],
)
def test_a_value_that_is_no_name(parts, message, alone, ftrun):
    result = ftrun("check", write_spec(tiny_spec(parts=parts)))
    assert (result.output, result.exit_code) == (f"Error: spec.json: {message}\n", 2)


def test_a_set_that_is_no_name(local, ftrun):
    result = ftrun("check", write_spec(tiny_spec()), "--set", "parts.file=ftrun_parts.py")
    message = 'Error: spec.json: parts: must be a string, but it is {"file": "ftrun_parts.py"}.\n'
    assert (result.output, result.exit_code) == (message, 2)
    result = ftrun("check", write_spec(tiny_spec()), "--set", "parts=5")
    assert (result.exit_code, "parts: 5 cannot be a module" in result.output) == (2, True)


def test_the_mistakes_of_a_check_name_the_place(alone, ftrun):
    result = ftrun("check", write_spec(tiny_spec(parts="zzz.py")), "--json")
    errors = [{"where": "parts", "message": "no such file: zzz.py."}]
    assert (json.loads(result.output), result.exit_code) == ({"valid": False, "errors": errors}, 2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("\n1 / 0", ":2: failed to import: ZeroDivisionError: division by zero"),
        ("def x(:", ":1: failed to import: SyntaxError: invalid syntax (ftrun_parts.py, line 1)"),
        ("\0", ": failed to import: SyntaxError: source code string cannot contain null bytes"),
        ("raise SystemExit(0)", ":1: failed to import: SystemExit: 0"),
        (
            PARTS.replace("ftrun_datasets", "ftrun_dataset"),
            ": no hook named 'ftrun_dataset'. Did you mean 'ftrun_datasets'?",
        ),
        (
            PARTS.replace("return [TinyDataset]", "return [7]"),
            ": ftrun_datasets must offer subclasses of ftrun.Dataset, not 7",
        ),
        (
            'FTRUN_API = "0.9"\n1 / 0',
            ": is written for ftrun's API 0.9, and this ftrun has 2.0. Change ftrun_parts.py",
        ),
        (
            'FTRUN_API = "2.9"\n1 / 0',
            ": is written for ftrun's API 2.9, and this ftrun has 2.0. Upgrade ftrun: pip install --upgrade ftrun",
        ),
    ],
)
def test_broken_parts_are_an_error_wherever_they_are_named(code, message, local, ftrun):
    Path("ftrun_parts.py").write_text(code)
    for arguments in (
        ["check", write_spec(tiny_spec(parts="ftrun_parts.py"))],
        ["plugins", "--parts", "ftrun_parts.py"],
        ["schema", "--parts", "ftrun_parts.py"],
    ):
        result = ftrun(*arguments)
        assert (result.output, result.exit_code) == (f"Error: ftrun_parts.py{message}\n", 3)
    result = ftrun("plugins", "--why", "ftrun_parts", "--parts", "ftrun_parts.py")
    assert result.output.startswith("ftrun_parts.py (local): broken\n")


def test_what_failed_to_import_leaves_nothing_behind(alone, ftrun):
    Path("own_parts.py").write_text("1 / 0")
    before = list(sys.path)
    assert ftrun("plugins", "--parts", "own_parts.py").exit_code == 3
    assert "own_parts" not in sys.modules
    assert sys.path == before


def test_a_name_that_an_installed_plugin_offers_too(local, ftrun, monkeypatch):
    Path("ftrun_parts.py").write_text(PARTS.replace('"mine"', '"tiny"'))
    message = (
        "dataset 'tiny' comes from both ftrun-tiny 1.0 and ftrun_parts.py (local). Give it another name in "
        "ftrun_parts.py, or uninstall the other: pip uninstall ftrun-tiny."
    )
    result = ftrun("check", write_spec(tiny_spec(parts="ftrun_parts.py")))
    both = 'To keep both, say which one is meant: "ftrun-tiny:tiny" or "ftrun_parts.py:tiny".'
    assert (result.output, result.exit_code) == (f"Error: dataset: {message} {both}\n", 3)
    monkeypatch.setenv("FTRUN_STRICT_PLUGINS", "1")
    result = ftrun("plugins", "--parts", "ftrun_parts.py")
    assert (message in result.output, result.exit_code) == (True, 3)
    assert ftrun("plugins").exit_code == 0


def test_a_module_of_the_folder_gets_in_nobodys_way(local, ftrun):
    """The folder is the last on the path: its json.py is not the one that others import, but the parts may have it."""
    Path("own_helper.py").write_text("WIDTH = 4\n")
    Path("ftrun_parts.py").write_text(f"import own_helper, json\njson.dumps(own_helper.WIDTH)\n{PARTS}")
    Path("json.py").write_text("1 / 0")
    before = list(sys.path)
    assert ftrun("check", write_spec(tiny_spec(**MINE))).exit_code == 0
    assert sys.path == [*before, str(local)]
    assert sys.modules["own_helper"].WIDTH == 4
    assert not list(local.rglob("*.pyc"))


# Runs


def test_a_run_keeps_the_file_and_says_what_it_was(local, ftrun):
    assert ftrun(write_spec(tiny_spec(**MINE))).exit_code == 0
    run = Path("runs/spec-1")
    assert (run / "parts/ftrun_parts.py").read_bytes() == Path("ftrun_parts.py").read_bytes()
    resolved = json.loads((run / "resolved.json").read_text())
    assert resolved["spec"]["parts"] == "parts/ftrun_parts.py"
    assert resolved["plugins"][:2] == [
        {
            "part": role,
            "role": role,
            "name": "mine",
            "distribution": "ftrun_parts.py",
            "version": "(local)",
            "sha256": hashlib.sha256(PARTS.encode()).hexdigest(),
        }
        for role in ("dataset", "backbone")
    ]
    assert "sha256" not in resolved["plugins"][2]
    assert ftrun("check", write_spec(resolved["spec"], str(run / "again.json"))).exit_code == 0


def start(spec, out, signals=None):
    catalogue = installed(PartsFile.read(Path(spec["parts"])))
    checked = check_spec(spec, catalogue)
    begin.run(begin.Request(checked, "spec", json.dumps(spec), (), catalogue, out, "cpu"), signals)


@pytest.mark.parametrize("moved", [False, True])
def test_an_interrupted_run_is_resumed_to_the_same_weights(moved, local, ftrun, tmp_path):
    spec = tiny_spec(**MINE)
    Path("parts").mkdir()
    Path("ftrun_parts.py").rename("parts/ftrun_parts.py")
    spec["parts"] = "parts/ftrun_parts.py"
    start(spec, Path("straight"))
    with pytest.raises(Interrupted):
        start(spec, Path("stopped"), StopAt(2))
    folder = Path("stopped")
    if moved:
        shutil.rmtree("parts")
        folder = tmp_path / "elsewhere" / "run"
        shutil.move("stopped", folder)
    else:  # what the project has by now is of no matter
        Path("parts/ftrun_parts.py").write_text("1 / 0")
    result = ftrun("resume", folder)
    assert result.exit_code == 0, result.output
    assert weights(folder) == weights(Path("straight"))
    assert "not as it was" not in result.output
    assert not list(folder.rglob("__pycache__"))


@pytest.fixture
def stopped(local):
    with pytest.raises(Interrupted):
        start(tiny_spec(**MINE), Path("stopped"), StopAt(2))
    return Path("stopped")


def test_a_copy_that_was_changed_is_said_to_be(stopped, ftrun):
    copy = stopped / "parts/ftrun_parts.py"
    before = hashlib.sha256(copy.read_bytes()).hexdigest()[:12]
    copy.write_text(PARTS + "\n# changed\n")
    after = hashlib.sha256(copy.read_bytes()).hexdigest()[:12]
    assert ftrun("resume", stopped).exit_code == 3, "it is not what was run here"
    result = ftrun("resume", stopped, "--trust")
    assert result.exit_code == 0
    said = f"ftrun_parts.py was the file of SHA-256 {before}..., is the file of SHA-256 {after}..."
    assert f"not as it was: {said}" in result.output


def test_a_copy_that_is_gone(stopped, ftrun):
    (stopped / "parts/ftrun_parts.py").unlink()
    result = ftrun("resume", stopped)
    message = "Error: stopped/parts/ftrun_parts.py: is missing, and this run has parts from it. Bring it back.\n"
    assert (result.output, result.exit_code) == (message, 3)


def test_a_copy_that_does_not_offer_them_any_more(stopped, ftrun):
    (stopped / "parts/ftrun_parts.py").write_text(PARTS.replace('"mine"', '"other"'))
    result = ftrun("resume", stopped, "--trust")
    message = (
        "Error: this run's dataset 'mine' comes from ftrun_parts.py, and stopped/parts/ftrun_parts.py does not offer "
        "it any more.\n"
    )
    assert (result.output, result.exit_code) == (message, 3)


def test_a_copy_keeps_its_name_whatever_else_has_it_by_now(stopped, site, ftrun):
    Path("ftrun_parts.py").rename(site / "ftrun_parts.py")
    result = ftrun_process("resume", stopped)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "name", ["parts/../ftrun_parts.py", "../ftrun_parts.py", "/ftrun_parts.py", "ftrun_parts.py", "..", "", 5, []]
)
def test_a_run_folder_that_names_a_file_elsewhere(name, stopped, ftrun):
    path = stopped / "resolved.json"
    resolved = json.loads(path.read_text())
    path.write_text(json.dumps({**resolved, "spec": {**resolved["spec"], "parts": name}}))
    result = ftrun("resume", stopped)
    assert result.exit_code == 1
    assert result.output == "Error: stopped/resolved.json: is damaged: its parts are no file of this folder.\n"


@pytest.mark.slow
@pytest.mark.parametrize("named", [(), ("--parts", "ftrun_parts.py")], ids=["by the spec", "by the command"])
def test_verify_resume(named, local):
    spec = tiny_spec(**MINE) if not named else tiny_spec(dataset="mine")
    result = ftrun_process("verify-resume", write_spec(spec), "--kills", "1", *named)
    assert result.returncode == 0, result.stderr


STARTED_ANEW = """
import multiprocessing
import sys
from ftrun.cli import main

multiprocessing.set_start_method(sys.argv.pop(1))
multiprocessing.set_forkserver_preload(["torch"])  # and no more: each worker imports ftrun itself
main()
"""


# Both begin with nothing of the run's process; spawn with torch to import as well, for each worker of each split.
@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_worker_that_is_started_anew_reads_the_same(method, local, ftrun):
    """It imports everything afresh, and on a resume from the run folder's copy, whatever is on the path."""
    for workers in (0, 1):
        options = {"name": "mine", "workers": bool(workers), "val": True}
        train = {"epochs": 1, "batch_size": 16, "workers": workers}
        write_spec(tiny_spec(**MINE | {"dataset": options}, train=train), f"spec-{workers}.json")
    assert ftrun("spec-0.json", "--out", "alone").exit_code == 0

    def run(*arguments):
        process = warm.Process(method, *arguments, code=STARTED_ANEW)
        _, errors = process.communicate()
        assert process.wait() == 0, errors

    run("spec-1.json", "--out", "together")
    assert weights(Path("together")) == weights(Path("alone"))
    Path("ftrun_parts.py").write_text("1 / 0")  # `python -c` has the working folder on its path
    run("resume", "together", "--epochs", "2")


def test_an_installed_plugin_may_have_a_local_twin_with_other_names(local, ftrun):
    install(local.parent / "site", "ftrun-mine", PARTS.replace('"mine"', '"not-mine"'))
    assert ftrun("check", write_spec(tiny_spec(**MINE))).exit_code == 0
