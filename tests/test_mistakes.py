"""Every mistake gives one message that says where, what and what to do, word for word, and its exit code."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import warm
from support import install, tiny_spec, write_spec

TINY_SGD = "Options of tiny-sgd: lr, momentum."
KEYS = (
    "Keys of a spec: $schema, parts, dataset, sampler, backbone, input, modifiers, head, augment, loss, objective, "
    "optimizer, scheduler, metrics, observers, recipe, train, evaluation, seed."
)
TRAIN = (
    "Options of train: epochs, phases, minutes, batch_size, accumulate, monitor, loss_weights, patience, clip, "
    "average, precision, memory_format, compile, cuda_graphs, on_nonfinite, on_corrupt, checkpoint_minutes, workers, "
    "val_fraction."
)
NO_METRIC = 'No metric is installed: pip install "ftrun[all]" brings ftrun\'s own plugins.'
SGD = "tiny-sgd"


def sgd(**options):
    return {"optimizer": {"name": SGD, **options}}


MISTAKES = {
    "unknown key": ({"trian": {}}, f"trian: no such key. Did you mean 'train'? {KEYS}"),
    "unknown key, nothing near": ({"colour": 1}, f"colour: no such key. {KEYS}"),
    "strange key": ({"a.b\n": 1}, f'"a.b\\n": no such key. {KEYS}'),
    "unknown option": (
        sgd(momentun=0.5),
        f"optimizer.momentun: no such option. Did you mean 'momentum'? {TINY_SGD}",
    ),
    "option called like the part": (sgd(**{SGD: 1}), f"optimizer.tiny-sgd: no such option. {TINY_SGD}"),
    "option of a part without any": (
        {"loss": {"name": "tiny-loss", "weight": 1}},
        "loss.weight: no such option. Options of tiny-loss: none.",
    ),
    "unknown option of a phase": (
        {"train": {"phases": [{"epochs": 1, "frieze": "stem"}]}},
        "train.phases.0.frieze: no such option. Did you mean 'freeze'? "
        "Options of a phase: epochs, freeze, views, lr_scale, layer_decay, restart, input, norm.",
    ),
    "epochs and phases that contradict each other": (
        {"train": {"epochs": 2, "phases": [{"epochs": 1}, {"epochs": 3}]}},
        "train: epochs is 2, but the phases make 4; leave epochs out.",
    ),
    "unknown option of train": (
        {"train": {"epoch": 1}},
        f"train.epoch: no such option. Did you mean 'epochs'? {TRAIN}",
    ),
    "unknown option of the input": (
        {"input": {"sise": 8}},
        "input.sise: no such option. Did you mean 'size'? "
        "Options of input: size, mean, std, interpolation, crop, white.",
    ),
    "unknown part": (
        {"optimizer": "tiny-sdg"},
        "optimizer: no optimizer named 'tiny-sdg'. Did you mean 'tiny-sgd'? Installed: tiny-sgd.",
    ),
    "unknown part, nothing near": (
        {"dataset": {"name": "imagenet"}},
        "dataset: no dataset named 'imagenet'. Installed: tiny.",
    ),
    "unknown part in a list": (
        {"observers": [{"name": "recorder", "file": "a"}, "recoder"]},
        "observers.1: no observer named 'recoder'. Did you mean 'recorder'? Installed: recorder.",
    ),
    "family that is none": (
        {"optimizer": "tiny-sgd/fast"},
        "optimizer: no optimizer named 'tiny-sgd/fast': 'tiny-sgd' takes nothing after a slash.",
    ),
    "part without a name": ({"optimizer": {"lr": 1}}, "optimizer: needs a name. Installed: tiny-sgd."),
    "name that is no string": (
        {"optimizer": {"name": 5}},
        "optimizer: its name must be a string, but it is 5. Installed: tiny-sgd.",
    ),
    "part that is no part": (
        {"loss": 3},
        'loss: must be a name or an object such as {"name": ...}, but it is 3. Installed: tiny-loss.',
    ),
    "part that is null": (
        {"loss": None, "dataset": "tiny"},
        "loss: is required, where no recipe is installed that fills it in (pip install ftrun-recipes). Installed: "
        "tiny-loss.",
    ),
    "list where one part belongs": (
        {"loss": ["tiny-loss"]},
        'loss: must be a name or an object such as {"name": ...}, but it is ["tiny-loss"]. Installed: tiny-loss.',
    ),
    "number where a list belongs": (
        {"observers": 3},
        "observers: must be a list, but it is 3.",
    ),
    "missing option": ({"observers": ["recorder"]}, "observers.0.file: is required."),
    "text for a number": (sgd(lr="0.1"), 'optimizer.lr: must be a number, but it is "0.1".'),
    "null for a number": (sgd(lr=None), "optimizer.lr: must be a number, but it is null."),
    "true for a number": (sgd(lr=True), "optimizer.lr: must be a number, but it is true."),
    "number for true or false": (
        {"backbone": {"name": "tiny", "exits": 1}},
        "backbone.exits: must be true or false, but it is 1.",
    ),
    "number for text": ({"train": {"monitor": 5}}, "train.monitor: must be a string or a list, but it is 5."),
    "average": (
        {"train": {"average": "emma"}},
        "train.average: must have one of 'ema', 'swa' as its 'name', but it is {\"name\": \"emma\"}.",
    ),
    "unknown option of an average": (
        {"train": {"average": {"name": "ema", "decya": 0.5}}},
        "train.average.decya: no such option. Did you mean 'decay'? Options of ema: decay.",
    ),
    "unknown option of a phase's input": (
        {"train": {"phases": [{"epochs": 1, "input": {"sise": 4}}]}},
        "train.phases.0.input.sise: no such option. Did you mean 'size'? Options of input: size, mean, std, "
        "interpolation, crop, white.",
    ),
    "half an epoch": ({"train": {"epochs": 2.5}}, "train.epochs: must be an integer, but it is 2.5."),
    "list for an object": ({"train": [1]}, "train: must be an object, but it is [1]."),
    "below the range": (sgd(lr=0), "optimizer.lr: must be greater than 0, but it is 0."),
    "above the range": (sgd(momentum=1), "optimizer.momentum: must be less than 1, but it is 1."),
    "seed": ({"seed": -1}, "seed: must be greater than or equal to 0, but it is -1."),
    "too many": (
        {"input": {"size": [8, 8, 3]}},
        "input.size: must be a number of pixels, or [height, width], but it is [8, 8, 3].",
    ),
    "wrong inside a list": ({"input": {"size": [8, "8"]}}, 'input.size.1: must be an integer, but it is "8".'),
    "none of the choices": (
        {"train": {"precision": "fp23"}},
        "train.precision: must be 'auto', 'fp32' or 'bf16', but it is \"fp23\". Did you mean 'fp32'?",
    ),
    "monitor": (
        {"train": {"monitor": "val/lost"}},
        "train.monitor: no figure named 'val/lost'. Did you mean 'val/loss'? With this spec's metrics it may be: "
        "val/loss.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_spec(mistake, alone, ftrun):
    changes, message = MISTAKES[mistake]
    result = ftrun("check", write_spec(tiny_spec(**changes)))
    assert result.output == f"Error: spec.json: {message}\n"
    assert result.exit_code == 2


def test_all_mistakes_at_once_with_every_command(alone, ftrun):
    spec = tiny_spec(trian={}, loss="tiny-los", optimizer={"name": SGD, "lr": -1, "momentum": "x"}, dataset=None)
    for command in ("check", "run"):
        result = ftrun(command, write_spec(spec))
        assert result.exit_code == 2
        assert (
            result.output
            == f"""\
Error: spec.json has 5 mistakes:
  dataset: is required. Installed: tiny.
  loss: no loss named 'tiny-los'. Did you mean 'tiny-loss'? Installed: tiny-loss.
  optimizer.lr: must be greater than 0, but it is -1.
  optimizer.momentum: must be a number, but it is "x".
  trian: no such key. Did you mean 'train'? {KEYS}
"""
        )
    assert not Path("runs").exists()


def test_a_role_without_any_part_is_a_missing_plugin(alone, ftrun):
    result = ftrun("check", write_spec(tiny_spec(metrics=["accuracy"])))
    assert result.exit_code == 3
    assert result.output == f"Error: spec.json: metrics.0: no metric named 'accuracy'. {NO_METRIC}\n"


def test_mistakes_as_json(alone, ftrun):
    result = ftrun("check", "--json", write_spec(tiny_spec(seed=-1, loss="\u00e9")))
    assert result.exit_code == 2
    assert json.loads(result.output) == {
        "valid": False,
        "errors": [
            {"where": "loss", "message": "no loss named '\u00e9'. Installed: tiny-loss."},
            {"where": "seed", "message": "must be greater than or equal to 0, but it is -1."},
        ],
    }
    result = ftrun("check", "--json", "nowhere.json")
    assert result.exit_code == 2
    assert json.loads(result.output)["errors"] == [{"where": "", "message": "nowhere.json: no such file."}]


def test_a_metric_that_is_there_twice(site, ftrun):
    result = ftrun("check", write_spec(tiny_spec(metrics=["accuracy", "f1", "accuracy"])))
    assert result.output == "Error: spec.json: metrics.2: 'accuracy' is there twice.\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed":\n 3,}', "spec.json:2:3: not JSON: a comma stands before a closing bracket; take it out.\n"),
        ('{"a": [1, ]}', "spec.json:1:9: not JSON: a comma stands before a closing bracket; take it out.\n"),
        ("", "spec.json:1:1: not JSON: the file is empty.\n"),
        ("{} {}", "spec.json:1:4: not JSON: the object has ended, but {} follows.\n"),
        ('{"a": 1', "spec.json:1:8: not JSON: the text ends too early: a closing bracket is missing.\n"),
        ("{\u201closs\u201d: 1}", 'spec.json:1:2: not JSON: \u201c is a typographic quotation mark; write ".\n'),
        ("{'a': 1}", "spec.json:1:2: not JSON: strings stand in double quotes; write \" for '.\n"),
        ("{a: 1}", 'spec.json:1:2: not JSON: keys stand in double quotes: "a".\n'),
        ('{"a": sgd}', 'spec.json:1:7: not JSON: sgd is no value; write "sgd".\n'),
        ('{"a": None}', "spec.json:1:7: not JSON: None is no value; write null.\n"),
        ('{"a": .5}', "spec.json:1:7: not JSON: .5 is written 0.5.\n"),
        ('{"a": 5.}', "spec.json:1:8: not JSON: a number is written such as 5, 0.5 or 1e-3.\n"),
        ('{"a": 1 "b": 2}', 'spec.json:1:9: not JSON: a comma is missing before "b": 2}.\n'),
        ('{"a" 1}', "spec.json:1:6: not JSON: a colon is missing before 1}.\n"),
        ('{"a": 1} // x', "spec.json:1:10: not JSON: JSON has no comments; take this one out.\n"),
        ('# x\n{"a": 1}', "spec.json:1:1: not JSON: JSON has no comments; take this one out.\n"),
        ('{"a": "C:\\data"}', 'spec.json:1:10: not JSON: a string holds \\d; a backslash is written "\\\\", or use /'),
        (
            '{"a": "s\td"}',
            'spec.json:1:9: not JSON: the string that begins with "s holds a tab, which is written \\t.\n',
        ),
        ('{"a": "s', 'spec.json:1:7: not JSON: the string that begins with "s has no closing quotation mark.\n'),
        ("{\n<<<<<<< HEAD\n", "spec.json:2:1: not JSON: <<<<<<< is what a merge left here; settle it.\n"),
        ("dataset: digits\n", "spec.json:1:1: not JSON: this is YAML; a spec is a JSON object, {...}. To convert it: "),
        ("[a]\nb = 1\n", "spec.json:1:1: not JSON: this is TOML; a spec is a JSON object, {...}.\n"),
        ('{"seed": NaN}', "spec.json: not JSON: it has no NaN.\n"),
        ('{"seed": -Infinity}', "spec.json: not JSON: it has no -Infinity.\n"),
        ('{"seed": 1, "seed": 2}', "spec.json: the key 'seed' stands twice in one object.\n"),
        ("[1]", "spec.json: a spec is a JSON object, {...}, but this is a list.\n"),
        ('"x"', "spec.json: a spec is a JSON object, {...}, but this is a string.\n"),
        ("null", "spec.json: a spec is a JSON object, {...}, but this is null.\n"),
        ("[" * 200_000, "spec.json: more than 50 objects and lists stand inside each other.\n"),
        ('{"a":' * 60 + "1" + "}" * 60, "spec.json: more than 50 objects and lists stand inside each other.\n"),
        ('{"seed": 1' + "0" * 5000 + "}", "spec.json: 1000000000... has 5001 digits, which is too many.\n"),
        ('{"loss": "\\ud800"}', "spec.json: '\\ud800' is not Unicode text: it holds half of a surrogate pair.\n"),
        ('{"\\udfff": 1}', "spec.json: '\\udfff' is not Unicode text: it holds half of a surrogate pair.\n"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_spec(text, message, site, ftrun):
    result = ftrun("check", write_spec(text))
    assert result.output.startswith(f"Error: {message}")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)


def test_files_that_cannot_be_read(site, ftrun):
    Path("latin1.json").write_bytes(b'{"dataset": "\xe9"}')
    Path("utf16.json").write_bytes("{}".encode("utf-16"))
    Path("folder.json").mkdir()
    write_spec(tiny_spec(), "quickstart.json")
    for name, message in {
        "latin1.json": "latin1.json: not UTF-8 text (byte 13).",
        "utf16.json": "utf16.json: not UTF-8 text (byte 0). It begins as UTF-16 does: save it as UTF-8.",
        "/dev/zero": "/dev/zero: more than 10 MB, which no spec has.",
        "folder.json": "folder.json: cannot be read: Is a directory.",
        "quickstrat.json": "quickstrat.json: no such file. Did you mean 'quickstart.json'?",
        "quickstart": "quickstart: no such file. Did you mean 'quickstart.json'?",
        "other.json": "other.json: no such file.",
        "nowhere/other.json": "nowhere/other.json: no such file.",
        "quickstart.json/x.json": "quickstart.json/x.json: cannot be read: Not a directory.",
        "x" * 999: f"{'x' * 999}: cannot be read: File name too long.",
    }.items():
        for command in ([], ["check"]):
            result = ftrun(*command, name)
            assert (result.output, result.exit_code) == (f"Error: {message}\n", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pluginz"], "pluginz: no such file or command. Did you mean 'plugins'?"),
        (["evalute", "runs/a"], "evalute: no such file or command. Did you mean 'evaluate'?"),
        (["train", "spec.json"], "train: no such file or command. Did you mean 'run'?"),
        (["validate"], "validate: no such file or command. Did you mean 'check'?"),
        (["check", "pluginz"], "pluginz: no such file. Did you mean 'plugins'?"),
    ],
)
def test_a_mistyped_command(arguments, message, site, ftrun):
    result = ftrun(*arguments)
    assert (result.output, result.exit_code) == (f"Error: {message}\n", 2)


def test_a_file_called_like_another_tools_command_is_a_spec(site, ftrun):
    write_spec(tiny_spec(trian=1), "train")
    assert "trian: no such key" in ftrun("train").output


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("lr", "optimizer.lr"),
        ("learning_rate", "optimizer.lr"),
        ("early_stopping", "train.patience"),
        ("freeze", "train.phases"),
        ("image_size", "input.size"),
        ("patience", "train.patience"),
        ("model", "backbone"),
        ("optimizer.learning-rate", "lr"),
        ("train.lr", "optimizer.lr"),
        ("train.early_stopping", "patience"),
        ("train.freeze", "phases"),
        ("input.img_size", "size"),
    ],
)
def test_what_an_option_is_called_elsewhere(key, ours, site, ftrun):
    holder, _, last = key.rpartition(".")
    values = {"optimizer": {"name": "sgd"}, "train": {}, "input": {}}
    changes = {holder: {**values[holder], last: 1}} if holder else {last: 1}
    assert f"{key}: no such " in (shown := ftrun("check", write_spec(tiny_spec(**changes))).output)
    assert f"Did you mean '{ours}'?" in shown


def test_a_word_of_a_parts_name(site, ftrun):
    shown = ftrun("check", write_spec(tiny_spec(augment=["flip"]))).output
    assert "augment.0: no augmentation named 'flip'. Did you mean 'horizontal-flip'?" in shown


def test_help_cuts_no_sentence(site, ftrun):
    shown = " ".join(ftrun("--help").output.partition("Commands:")[2].split())
    assert "..." not in shown
    assert "with train.phases, show what learns when." in shown


def test_a_byte_order_mark_is_no_mistake(site, ftrun):
    Path("spec.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(tiny_spec()).encode())
    assert ftrun("check", "spec.json").output == "spec.json: valid\n"


def test_a_wrong_command_line(site, ftrun):
    for arguments, message in {
        (): "Usage: ",
        ("check",): "Missing argument 'SPEC'",
        ("check", "a", "--sett", "b=1"): "--sett",
        ("schema", "x"): "Got unexpected extra argument",
    }.items():
        result = ftrun(*arguments)
        assert message in result.output
        assert result.exit_code == 2


# --set


def resolved(ftrun, *arguments, **changes):
    result = ftrun("check", "--json", write_spec(tiny_spec(**changes)), *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["spec"]


def test_set_is_typed_by_the_schema(site, ftrun):
    spec = resolved(
        ftrun,
        *("--set", "seed=7", "--set", "optimizer.lr=1e-3", "--set", "backbone.dropout=0"),
        *("--set", "dataset.val=true", "--set", "dataset.fails_at=null", "--set", "input.size=[8, 10]"),
        *("--set", "observers.0=recorder", "--set", "observers.0.file=007", "--set", "observers.0.fails_in=a=b"),
        *("--set", "train.clip=2", "--set", 'train.monitor="val/loss"'),
    )
    assert (spec["seed"], spec["optimizer"]["lr"], spec["backbone"]["dropout"]) == (7, 0.001, 0)
    assert (spec["dataset"]["val"], spec["dataset"]["fails_at"], spec["input"]) == (True, None, {"size": [8, 10]})
    assert spec["observers"] == [{"name": "recorder", "file": "007", "fails_in": "a=b"}]
    assert (spec["train"]["clip"], spec["train"]["monitor"]) == (2.0, "val/loss")


@pytest.mark.parametrize(("text", "value"), [(".01", 0.01), ("+5", 5), ("5.", 5), ("1E-3", 0.001), ("+.5e0", 0.5)])
def test_set_takes_numbers_as_people_write_them(text, value, site, ftrun):
    assert resolved(ftrun, "--set", f"optimizer.lr={text}")["optimizer"]["lr"] == value


def test_set_to_null_leaves_a_key_out_that_cannot_be_null(site, ftrun):
    spec = resolved(
        ftrun,
        *("--set", "optimizer.lr=null", "--set", "train=null", "--set", "observers=null"),
        optimizer={"name": "tiny-sgd", "lr": 3},
        train={"epochs": 77},
        observers=[{"name": "recorder", "file": "a"}],
    )
    assert (spec["optimizer"]["lr"], spec["train"]["epochs"], spec["observers"]) == (0.1, 10, [])


@pytest.mark.parametrize("text", ["5", ".5", "true", "null", "[1]", "{}", "1e3", "", " x ", "NaN", "__import__('os')"])
def test_set_gives_text_where_the_schema_wants_text(text, site, ftrun):
    spec = resolved(ftrun, "--set", f"observers.0.file={text}", observers=[{"name": "recorder", "file": "a"}])
    assert spec["observers"][0]["file"] == text


def test_set_is_never_evaluated(site, ftrun):
    for text in ("1+1", "2**3", "__import__('os').getpid()", "$HOME", "${seed}"):
        result = ftrun("check", write_spec(tiny_spec()), "--set", f"seed={text}")
        assert result.output == f'Error: spec.json: seed: must be an integer, but it is "{text}".\n'


def test_set_swaps_parts_and_the_last_one_wins(site, ftrun):
    given = {"name": "tiny-sgd", "lr": 0.5}
    assert resolved(ftrun, "--set", "optimizer=tiny-sgd", optimizer=given)["optimizer"]["lr"] == 0.1
    spec = resolved(ftrun, "--set", "optimizer.lr=3", "--set", "optimizer.lr=4", optimizer=given)
    assert spec["optimizer"]["lr"] == 4
    spec = resolved(ftrun, "--set", "optimizer.lr=3", "--set", 'optimizer={"name": "tiny-sgd"}', optimizer=given)
    assert spec["optimizer"]["lr"] == 0.1
    spec = resolved(ftrun, "--set", "backbone=timm/resnet18", "--set", "backbone.pretrained=false")
    assert (spec["backbone"]["model"], spec["backbone"]["pretrained"]) == ("resnet18", False)
    assert resolved(ftrun, "--set", "scheduler=null", scheduler="cosine")["scheduler"] is None


def test_set_reaches_into_lists(site, ftrun):
    spec = resolved(ftrun, "--set", "metrics.1.average=micro", metrics=["accuracy", "f1"])
    assert [each.get("average") for each in spec["metrics"]] == [None, "micro"]
    spec = resolved(ftrun, "--set", "metrics.0=accuracy", "--set", "metrics.1=f1")
    assert [each["name"] for each in spec["metrics"]] == ["accuracy", "f1"]
    assert resolved(ftrun, "--set", "metrics=[]", metrics=["accuracy"])["metrics"] == []
    assert resolved(ftrun, "--set", "input.size.0=9", input={"size": [8, 8]})["input"]["size"] == [9, 8]
    assert resolved(ftrun, "--set", "input.size=9", input=None)["input"]["size"] == [9, 9]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.lr", "--set optimizer.lr: give it as KEY=VALUE, such as optimizer.lr=0.01."),
        ("=5", "--set =5: give it as KEY=VALUE, such as optimizer.lr=0.01."),
        ("train..epochs=5", "--set train..epochs=5: give it as KEY=VALUE, such as optimizer.lr=0.01."),
        ("trian.epochs=5", f"spec.json: trian: no such key. Did you mean 'train'? {KEYS}"),
        ("optimizer.lrr=5", f"spec.json: optimizer.lrr: no such option. Did you mean 'lr'? {TINY_SGD}"),
        ("optimizer=tiny-sdg",
         "spec.json: optimizer: no optimizer named 'tiny-sdg'. Did you mean 'tiny-sgd'? Installed: tiny-sgd."),
        ("train={epochs: 3}", 'spec.json: train: must be an object, but it is "{epochs: 3}".'),
        ("seed.x=1",
         "--set seed.x=1: 'x' cannot be set, because what holds it is neither an object nor a list."),
        ("observers.1=recorder", "--set observers.1=recorder: a list of 0 has no place '1'; places count from 0."),
        ("observers.-1=recorder", "--set observers.-1=recorder: a list of 0 has no place '-1'; places count from 0."),
        ("loss=\udcff", "--set 'loss=\\udcff': not UTF-8 text."),
    ],
)  # fmt: skip
def test_a_wrong_set(assignment, message, alone, ftrun):
    result = ftrun("check", write_spec(tiny_spec(observers=[], seed=1)), "--set", assignment)
    assert (result.output, result.exit_code) == (f"Error: {message}\n", 2)


# Data, and training


@pytest.mark.parametrize(
    ("changes", "message", "code"),
    [
        ({"empty_class": True}, "dataset: no training sample of class 'class 3'. Add some, or take it out.", 4),
        ({"wrong_label": True},
         "dataset: train, target 'label': sample 5 has label 7, but there are 3 classes, so labels go from 0 to 2 "
         "(-1 where there is none).", 4),
        ({"samples": 3}, "dataset: 3 training samples are too few to cut a val split from.", 4),
    ],
)  # fmt: skip
def test_wrong_data_is_found_before_there_is_a_run_folder(changes, message, code, site, ftrun):
    result = ftrun(write_spec(tiny_spec(dataset={"name": "tiny", **changes})))
    assert (result.output, result.exit_code) == (f"Error: {message}\n", code)
    assert not Path("runs").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_read(workers, site, ftrun):
    dataset = {"name": "tiny", "fails_at": 7, "workers": True}
    result = ftrun(write_spec(tiny_spec(dataset=dataset, train={"epochs": 2, "workers": workers})))
    assert result.output.endswith("\nError: sample 7 cannot be read: it is torn.\n")
    assert result.exit_code == 4
    assert (status()["state"], status()["reason"]) == ("failed", "sample 7 cannot be read: it is torn.")


def test_an_image_folder_that_is_not_there_and_an_image_that_is_torn(site, ftrun, monkeypatch):
    spec = tiny_spec(dataset={"name": "image-folder", "path": "imagse"})
    folders = [Path("images/train/a"), Path("images/train/b")]
    for folder in folders:
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.png").write_bytes(b"\x89PNG torn")
    result = ftrun(write_spec(spec))
    assert result.exit_code == 4
    assert "Error: dataset: " in result.output
    assert "imagse" in result.output
    assert "'images'" in result.output

    result = ftrun(write_spec(spec), "--set", "dataset.path=images")
    assert result.exit_code == 4
    torn = r"^Error: .*images/train/[ab]/[012]\.png cannot be read"
    assert re.search(torn, result.output, re.MULTILINE)
    assert (status()["state"], status()["step"]) == ("failed", 0)  # the run began before its inputs were decoded

    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    result = ftrun(write_spec(spec), "--set", "dataset.path=images")
    assert result.exit_code == 4
    assert re.search(torn, result.output, re.MULTILINE)
    assert status()["state"] == "failed"


def test_divergence(site, ftrun):
    train = {"epochs": 5, "batch_size": 8}
    result = ftrun(write_spec(tiny_spec(optimizer={"name": SGD, "lr": 1e30}, train=train)))
    reason = (
        r"training diverged at step 2: the loss is \S+, the gradient's norm \S+\n"
        r"  Training samples of the step: (\d+, ){7}\d+\.\n"
        r"  Largest gradient: 0\.weight, of norm nan\.\n"
        r"Try a lower optimizer\.lr, or train\.clip to bound the gradient; [^\n]*"
    )
    assert re.search(rf"\nError: {reason}\n$", result.output)
    assert result.exit_code == 5
    assert status()["state"] == "diverged"
    assert re.fullmatch(reason, status()["reason"])
    assert not Path("runs/spec-1/results.json").exists()


def status(folder="runs/spec-1"):
    return json.loads((Path(folder) / "status.json").read_text())


# Folders and disks


def test_a_run_overwrites_nothing(site, ftrun):
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    Path("file").write_text("mine")
    Path("dangling").symlink_to("nowhere")
    spec = write_spec(tiny_spec())
    for out in ("full", "file", "dangling", "."):
        result = ftrun(spec, "--out", out)
        assert result.exit_code == 2
        assert result.output == (
            f"Error: --out {out}: exists already, and a run never overwrites. Name another folder, or remove it.\n"
        )
    assert [each.name for each in Path("full").iterdir()] == ["mine.txt"]
    assert Path("file").read_text() == "mine"
    assert sorted(each.name for each in Path().iterdir()) == ["dangling", "file", "full", "spec.json"]


def test_a_folder_that_cannot_be_made(site, ftrun):
    Path("file").write_text("mine")
    result = ftrun(write_spec(tiny_spec()), "--out", "file/run")
    assert result.output.startswith("Error: file/run: cannot be written: Not a directory.")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    Path("runs").write_text("mine")
    result = ftrun(write_spec(tiny_spec()))
    assert result.output.startswith("Error: runs: cannot be written: File exists.")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert Path("runs").read_text() == Path("file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(site, ftrun):
    Path("locked").mkdir(mode=0o555)
    result = ftrun(write_spec(tiny_spec()), "--out", "locked/run")
    assert result.exit_code == 1
    assert result.output == (
        "Error: locked/run: cannot be written: Permission denied. Let --out name a folder that you may write to.\n"
    )


# Whole processes: a disk that is full, signals, faults

MAIN = "import sys; from ftrun.cli import main; main(sys.argv[1:])"
LIMITED = (
    "import sys, resource; sys.dont_write_bytecode = True; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
    + MAIN
)


def start(*arguments, code=MAIN):
    return warm.Process(*arguments, code=code)


FULL = "File too large. Free some space, or let --out name a folder elsewhere. What was saved before is still valid."


def test_no_space_for_a_checkpoint(site):
    """No file may be longer than the weights need: as on a full disk, the write fails halfway."""
    spec = write_spec(tiny_spec(backbone={"name": "tiny", "width": 1000}))
    process = start(spec, code=LIMITED.format(20_000))
    _, errors = process.communicate(timeout=120)
    assert re.fullmatch(rf"Error: (runs/spec-1/checkpoints/(?:best|last)): cannot be written: {FULL}\n", errors)
    assert process.returncode == 1
    assert status()["state"] == "failed"
    assert "File too large" in status()["reason"]
    assert [each.name for each in Path("runs/spec-1/checkpoints").iterdir() if not each.name.startswith(".")] == []
    assert json.loads(Path("runs/spec-1/resolved.json").read_text())["spec"]["backbone"]["width"] == 1000


def test_no_space_in_the_middle_of_a_run_leaves_the_earlier_epochs(site):
    from safetensors.torch import load_file

    dataset = {"name": "tiny", "samples": 8, "classes": 2}
    process = start(write_spec(tiny_spec(dataset=dataset, train={"epochs": 500})), code=LIMITED.format(6_000))
    _, errors = process.communicate(timeout=120)
    assert re.fullmatch(rf"Error: runs/spec-1/\S+: cannot be written: {FULL}\n", errors)
    assert process.returncode == 1
    assert status()["state"] == "failed"
    saved = json.loads(Path("runs/spec-1/checkpoints/last/state.json").read_text())
    assert saved["progress"]["epoch"] >= 10
    for which in ("best", "last"):
        assert len(load_file(f"runs/spec-1/checkpoints/{which}/model.safetensors")) == 9


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
)
def test_a_signal_saves_the_last_checkpoint(number, code, reason, site):
    process = start(write_spec(tiny_spec(train={"epochs": 100_000, "batch_size": 16})))
    waiting = time.monotonic() + 120
    while not Path("runs/spec-1/metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < waiting
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (errors, process.returncode) == (f"Error: {reason}\n", code)
    assert (status()["state"], status()["reason"]) == ("interrupted", reason)
    saved = json.loads(Path("runs/spec-1/checkpoints/last/state.json").read_text())
    assert saved["progress"]["epoch"] == status()["epoch"] >= 1
    assert saved["progress"]["step"] == status()["step"]


def test_a_fault_keeps_its_traceback(site):
    process = start(write_spec(tiny_spec(backbone={"name": "tiny", "exits": True})))
    _, errors = process.communicate(timeout=60)
    assert errors.startswith("Traceback")
    assert errors.endswith("ZeroDivisionError: an unexpected fault\nin backbone, 'tiny' of ftrun-tiny 1.0\n")
    assert process.returncode == 1
    assert not Path("runs").exists()


def test_an_observer_that_raises_is_dropped_and_the_run_goes_on(site, ftrun):
    observers = [{"name": "recorder", "file": "bad", "fails_in": "after_epoch"}, {"name": "recorder", "file": "good"}]
    result = ftrun(write_spec(tiny_spec(observers=observers)))
    assert result.exit_code == 0
    dropped = (
        "observer 'recorder' of ftrun-tiny 1.0 (observers.0) failed in ftrun_after_epoch and is dropped: "
        "RuntimeError: the recorder's own fault ("
    )
    assert result.output.count(dropped) == 1
    assert dropped in Path("runs/spec-1/log.txt").read_text()
    assert [line.split()[0] for line in Path("bad").read_text().splitlines()] == ["before_run", "after_epoch"]
    assert [line.split()[0] for line in Path("good").read_text().splitlines()] == [
        "before_run", "after_epoch", "after_epoch", "after_run",
    ]  # fmt: skip


OBSERVER = """
import ftrun
from typing import Literal

class Watcher(ftrun.Observer):
    "Watches."
    name: Literal["watcher"]

    def build(self):
        return Watching()

class Watching:
    @ftrun.hookimpl
    def {signature}:
        pass

@ftrun.hookimpl
def ftrun_observers():
    return [Watcher]
"""


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("ftrun_after_epok(self, epoch)", "no hook named 'ftrun_after_epok'. Did you mean 'ftrun_after_epoch'?"),
        ("ftrun_after_epoch(self, epok)", "epok"),
        ("ftrun_after_epoch(self, epoch=None)",
         "ftrun_after_epoch: argument 'epoch' has a default, so it would never be passed."),
    ],
)  # fmt: skip
def test_an_observer_that_pluggy_would_pass_over(signature, message, site, ftrun):
    install(site, "ftrun-watcher", OBSERVER.format(signature=signature))
    result = ftrun(write_spec(tiny_spec(observers=["watcher"])))
    assert result.exit_code == 3
    assert result.output.startswith("Error: observers.0: ")
    assert message in result.output
    assert not Path("runs").exists()
