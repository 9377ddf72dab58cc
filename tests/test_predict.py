"""`ftrun.load` and `ftrun predict`: what a run says of images is what it said when it was judged."""

import csv
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm
from click.testing import CliRunner
from PIL import Image
from support import tiny_spec, write_spec

import ftrun as api
from ftrun.cli import main
from ftrun.contracts.targets import Labels, Values
from ftrun.inference.evaluation import EVALUATING
from ftrun.inference.opened import open_run
from ftrun.runs.folder import RunFolder
from ftrun.train.feed import corrupt_samples, loader

NAMES = ("ant", "bee", "cat")


def draw(path: Path, label: int, number: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(100 * label + number).integers(0, 60, (*size, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise + 90 * label).astype(np.uint8)).save(path)


@pytest.fixture
def images(site) -> Path:
    """train/, val/ and test/ of three classes; files of different sizes and kinds."""
    suffixes = ("png", "jpg", "bmp", "webp")
    for split, count in (("train", 6), ("val", 3), ("test", 5)):
        for label, name in enumerate(NAMES):
            for number in range(count):
                path = Path("images") / split / name / f"{number}.{suffixes[number % 4]}"
                draw(path, label, number, (9 + number % 3, 12))
    return Path("images")


@pytest.fixture
def run(images, ftrun) -> Callable[..., Path]:
    def start(**changes: Any) -> Path:
        data = {"name": "image-folder", "path": str(images)}
        spec = tiny_spec(**{"dataset": data, "metrics": ["accuracy", "f1"], **changes})
        spec["train"] = {"workers": 0, **spec["train"]}
        result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
        assert result.exit_code == 0, result.output
        return Path("run")

    return start


def files(split: str = "test") -> list[str]:
    return sorted(str(path) for path in Path("images", split).rglob("*.*"))


def judged_outputs(run: Path) -> torch.Tensor:
    """Softmax of the net's output on the test split, in the batches that the run judges in: [N, classes]."""
    opened = open_run(RunFolder.existing(run), keys=(*EVALUATING, "dataset"))
    splits = opened.spec.dataset.build()
    corrupt = corrupt_samples(opened.spec, print)
    reading = loader(opened.spec, "test", splits.test, opened.net.input, corrupt, opened.device, opened.net.targets)
    found = []
    with torch.no_grad():
        for batch in reading.in_order():
            inputs = opened.net.input.prepare(batch.inputs)
            with opened.setting.autocast(opened.device):
                found.append(opened.net(inputs)["label"].float())
    return torch.cat(found).softmax(1)


@pytest.mark.parametrize(
    "train",
    [
        {"epochs": 2, "batch_size": 7, "workers": 0},
        {"epochs": 2, "batch_size": 4, "workers": 2, "precision": "bf16", "average": {"name": "ema", "decay": 0.5}},
    ],
    ids=["fp32", "bf16"],
)
def test_predictions_equal_the_evaluation_bit_for_bit(train, run, ftrun):
    folder = run(train=train)
    expected = judged_outputs(folder)
    predictions = api.load(folder).predict(files(), top=3)
    assert len(predictions) == len(expected) == 15
    for prediction, probabilities in zip(predictions, expected.tolist(), strict=True):
        assert prediction.scores == dict(zip(NAMES, probabilities, strict=True))
        assert list(prediction.scores.values()) == sorted(probabilities, reverse=True)
    right = sum(each.name == Path(path).parent.name for each, path in zip(predictions, files(), strict=True))
    assert right / 15 == pytest.approx(json.loads(Path("run/results.json").read_text())["test"]["accuracy"])
    listed = json.loads(ftrun("predict", folder, "images/test", "--top", "3", "--json").stdout)
    assert [each["label"] for each in listed] == [dict(each.scores) for each in predictions]
    assert [each["file"] for each in listed] == files()


def test_an_image_is_the_same_in_every_form(run):
    model = api.load(run())
    path = files()[0]
    with Image.open(path) as image:
        image.load()
    array = np.array(image)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    (expected,) = model.predict(path)
    assert model.predict([path, Path(path), image, array, tensor]) == [expected] * 5
    assert model.predict(image) == model.predict(array) == model.predict(tensor) == [expected]
    assert model.predict(tensor[None]) == model.predict(iter([path])) == [expected]
    grey = array[..., 0]
    assert model.predict(grey) == model.predict(torch.from_numpy(grey[None]))
    assert model.predict(grey)[0].score == pytest.approx(model.predict(Image.fromarray(grey))[0].score, abs=0.01)
    assert model.predict([]) == []
    assert set(model.targets) == {"label"}
    assert model.input.size == (8, 8)


def test_white_is_settled_for_all_of_the_data_and_kept_with_the_weights(site, ftrun):
    """12 bits in files of 16: what is trained on, judged and predicted on is scaled alike; what is left out is told."""
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for label, name in enumerate(NAMES):
            for number in range(count):
                noise = np.random.default_rng(100 * label + number).integers(0, 900, (9, 12))
                place = Path("images", split, name, f"{number}.{'png' if number % 2 else 'TIF'}")
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((noise + 1200 * label).astype(np.uint16)).save(place)
    for name in ("train/ant/notes.txt", "train/ant/@eaDir/1.png", "test/ant/._0.png", "test/ant/x.heic"):
        Path("images", name).parent.mkdir(exist_ok=True)
        Path("images", name).write_bytes(b"")
    spec = {"dataset": {"name": "image-folder", "path": "images"}, "metrics": ["accuracy"]}
    result = ftrun(write_spec(tiny_spec(**spec)), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "2 files were passed over, of other kinds: .heic 1, .txt 1." in result.output
    assert "2 passed over, hidden or a system's own: *.png 1, @eaDir 1." in result.output
    assert "30 16-bit images with values up to 3,29" in result.output
    resolved = json.loads(Path("run/resolved.json").read_text())
    assert len(resolved["notes"]) == 6, "and that test's images are train's, and val's"
    assert resolved["input"]["white"] == 4095
    assert json.loads(Path("run/checkpoints/best/net.json").read_text())["input"]["white"] == 4095
    predicted = ftrun("predict", "run", "images/test", "--top", "3", "--json")
    assert "1 file was passed over, of another kind: .heic 1." in predicted.stderr
    answers = {each["file"]: each["label"] for each in json.loads(predicted.stdout)}
    assert sorted(answers) == sorted(path for path in files() if not re.search(r"heic|\._", path))
    expected = judged_outputs(Path("run")).tolist()
    for path, probabilities in zip(sorted(answers), expected, strict=True):
        assert answers[path] == pytest.approx(dict(zip(NAMES, probabilities, strict=True)), abs=0)


def test_what_is_no_image_is_said(run):
    model = api.load(run())
    with pytest.raises(api.DataError, match=r"nowhere\.png cannot be read: No such file"):
        model.predict("nowhere.png")
    with pytest.raises(api.DataError, match=r"an image is a path, a PIL image.*this one is a dict"):
        model.predict({})
    with pytest.raises(api.DataError, match=r"this one is float64 \[4, 4, 3\]"):
        model.predict(np.zeros((4, 4, 3)))
    with pytest.raises(api.DataError, match=r"input 0: .* but this is Tensor float32 \[3, 4, 4\]"):
        model.predict(torch.zeros(3, 4, 4))


def test_threads_may_share_a_model(run):
    model = api.load(run(train={"epochs": 1, "batch_size": 4, "precision": "bf16"}))
    expected = model.predict(files(), top=3)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lambda _: model.predict(files(), top=3), range(12)))
    assert torch.is_grad_enabled()


OTHERS = """
from typing import Literal

import ftrun


class Others(ftrun.Dataset):
    "Images with labels and values."

    name: Literal["others"]

    def build(self):
        import torch

        images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 1, 8, 8).contiguous() * 6
        bright = torch.arange(40) / 40
        values = {
            "kind": torch.stack([(bright > 0.5), (bright < 0.5)], 1).float(),
            "size": bright[:, None].float(),
        }
        targets = {"kind": ftrun.Labels(names=("bright", "dark")), "size": ftrun.Values(names=("area",))}
        return ftrun.Splits(train=ftrun.TensorSplit(images, values), targets=targets)


class Both(ftrun.Loss):
    "Mean squared error of whatever there is."

    name: Literal["both"]
    kinds = ("labels", "values")

    def build(self, target, values):
        from torch import nn

        return nn.MSELoss()


@ftrun.hookimpl
def ftrun_datasets():
    return [Others]


@ftrun.hookimpl
def ftrun_losses():
    return [Both]
"""


def test_labels_and_values_of_several_targets(site, ftrun):
    Path("others.py").write_text(OTHERS)
    spec = tiny_spec(dataset="others", loss="both", parts="others.py")
    assert ftrun(write_spec(spec), "--out", "run", "--device", "cpu").exit_code == 0
    model = api.load("run")
    assert {name: type(target) for name, target in model.targets.items()} == {"kind": Labels, "size": Values}
    (answer,) = model.predict(torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert set(answer["kind"].scores) == {"bright", "dark"}
    assert answer["kind"].score == max(answer["kind"].scores.values())
    assert answer["size"].name == "area"
    Image.new("RGB", (8, 8)).save("a.png")
    result = ftrun("predict", "run", "a.png", "--json")
    told = {name: dict(each.scores) for name, each in answer.items()}
    assert json.loads(result.stdout) == [{"file": "a.png", **told}]
    assert ftrun("predict", "run", "a.png", "--csv", "a.csv").exit_code == 0
    (row,) = csv.DictReader(Path("a.csv").read_text().splitlines())
    assert set(row) == {"file", "kind/bright", "kind/dark", "size/area"}
    assert float(row["size/area"]) == answer["size"].score


def test_a_value_of_its_targets_name_is_named_once(site, ftrun):
    code = (
        OTHERS.replace("area", "size").replace('"size": bright', '"size": 1e-6 * bright').replace('"others"', '"once"')
    )
    Path("once.py").write_text(code.replace("class Others", "class Once").replace("[Others]", "[Once]"))
    assert ftrun(write_spec(tiny_spec(dataset="once", loss="both", parts="once.py")), "--out", "run").exit_code == 0
    Image.new("RGB", (8, 8)).save("a.png")
    size = api.load("run").predict("a.png")[0]["size"].score
    (found,) = json.loads(ftrun("predict", "run", "a.png", "--json").stdout)
    assert found["size"] == size
    assert ftrun("predict", "run", "a.png", "--csv", "a.csv").exit_code == 0
    (row,) = csv.DictReader(Path("a.csv").read_text().splitlines())
    assert float(row["size"]) == size
    table = ftrun("predict", "run", "a.png").stdout.split()
    assert table[-2] == "size"
    assert table.count("size") == 1
    assert float(table[-1]) == pytest.approx(size, abs=1e-8)  # and not 0.0000


def test_a_run_that_cannot_be_opened(run):
    folder = run()
    with pytest.raises(api.SpecError, match="no such run folder"):
        api.load("ran")
    (folder / "checkpoints" / "best" / "net.json").write_text("{}")
    with pytest.raises(api.FtrunError, match=r"net.json: is damaged"):
        api.load(folder)


def test_files_folders_globs_and_standard_input(run, ftrun):
    folder = run()
    Path("images/test/notes.txt").write_text("no image, and not read")
    for asked in (files(), ["images/test"], ["images/test/**/*.*g", "images/test/*/*.bmp", "images/test/*/*.webp"]):
        asked = [each for each in asked if "notes" not in each]
        result = ftrun("predict", folder, *asked, "--json")
        assert result.exit_code == 0, result.output
        assert {each["file"] for each in json.loads(result.stdout)} == set(files()) - {"images/test/notes.txt"}
    listed = CliRunner().invoke(main, ["predict", "run", "-", "--json"], input="\n".join(files()[:3]) + "\n")
    assert [each["file"] for each in json.loads(listed.stdout)] == files()[:3]


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(run, ftrun):
    folder = run()
    Path("torn.jpg").write_bytes(Path("images/test/ant/1.jpg").read_bytes()[:200])
    result = ftrun("predict", folder, "torn.jpg", files()[0], "nowhere.png", files()[1])
    assert result.exit_code == 4
    assert [line.split()[0] for line in result.stdout.splitlines()] == files()[:2]
    assert "torn.jpg cannot be read" in result.stderr
    assert "nowhere.png cannot be read: No such file" in result.stderr
    assert "Error: 2 of 4 files could not be read." in result.stderr
    listed = ftrun("predict", folder, "torn.jpg", files()[0], "--json")
    assert listed.exit_code == 4
    torn, good = json.loads(listed.stdout)
    assert set(torn) == {"file", "error"}
    assert set(good) == {"file", "label"}


def test_a_table_and_a_csv_file(run, ftrun):
    folder = run()
    expected = api.load(folder).predict(files(), top=2)
    table = ftrun("predict", folder, "images/test", "--top", "2").stdout.splitlines()
    for line, path, each in zip(table, files(), expected, strict=True):
        (first, one), (second, two) = each.scores.items()
        assert line.split() == [path, first, f"{one:.4f}", second, f"{two:.4f}"]
    result = ftrun("predict", folder, "images/test", "--top", "2", "--csv", "out.csv")
    assert result.exit_code == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2"]
    assert [(row["file"], row["class"], float(row["probability"])) for row in rows] == [
        (path, each.name, each.score) for path, each in zip(files(), expected, strict=True)
    ]
    again = ftrun("predict", folder, files()[0], "--csv", "out.csv")
    assert (again.exit_code, "--csv out.csv: exists already. Name another file, or add --force." in again.output) == (
        2,
        True,
    )
    assert len(Path("out.csv").read_text().splitlines()) == 1 + len(files())
    assert ftrun("predict", folder, files()[0], "--csv", "out.csv", "--force").exit_code == 0
    assert len(Path("out.csv").read_text().splitlines()) == 2
    Path("mine.csv").write_text("file,class\na.png,wren\n")
    for mine in ("run/results.json", files()[0], "mine.csv"):
        before = Path(mine).read_bytes()
        refused = ftrun("predict", folder, files()[0], "--csv", mine, "--force")
        assert (refused.exit_code, "is no file that this command wrote" in refused.output) == (2, True)
        assert Path(mine).read_bytes() == before
    refused = ftrun("predict", folder, files()[0], "--csv", "/dev/zero", "--force")  # has no end
    assert (refused.exit_code, "is no file that this command wrote" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "a.png"], "nowhere: no such run folder."),
        (["run", "images/none"], "no files to predict on"),
        (
            ["run", "images", "--csv", "no/where.csv"],
            "--csv no/where.csv: there is no folder no.",
        ),
        (["run", "images", "--csv", "a.csv", "--json"], "give --json or --csv, not both"),
        (["run", "--lines", "list.txt"], "--lines: what this net takes (ImageInput) is not a line of a file."),
    ],
    ids=["run", "files", "csv", "both", "lines"],
)
def test_mistakes_are_told(arguments, message, run, ftrun):
    run()
    Path("images/none").mkdir()
    result = ftrun("predict", *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_files_are_read_ahead_but_only_so_far(run):
    """However long the list, two batches at most are read that are not told yet."""
    model = api.load(run(train={"epochs": 1, "batch_size": 4}))
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield files()[asked % 15]

    stream = model.stream(endless())
    for told in range(1, 200):
        next(stream)
        assert asked <= told + 3 * 4, "a batch in hand, and two ahead"
    stream.close()


def test_asking_for_a_predictor_is_what_loads_torch():
    code = "import sys, ftrun; ftrun.load; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert api.Predictor.__name__ == "Predictor"


PEAK = """
import resource, sys
from ftrun.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stopped:
    code = stopped.code or 0
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)  # MiB
sys.exit(code)
"""


def with_its_peak(*arguments: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """The command as its own process, and the most memory that it had, in MiB."""
    process = warm.Process(*arguments, code=PEAK)
    out, errors = process.communicate()
    done = subprocess.CompletedProcess(arguments, process.wait(), out, errors)
    return done, int(errors.splitlines()[-1].removeprefix("peak "))


def png(path: Path, width: int, height: int) -> None:
    """A black and white PNG that is small on disk, whatever its size."""
    rows = zlib.compress(b"\x00" * (height * (width // 8 + 1)), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def test_among_five_hundred_files_the_bad_ones_are_told_and_no_good_one_is_lost(run):
    folder = run(train={"epochs": 1, "batch_size": 16})
    place = Path("many")
    place.mkdir()
    good = {f"{number:03}.{('png', 'jpg', 'bmp', 'webp')[number % 4]}" for number in range(450)}
    for name in sorted(good)[:12]:
        draw(place / name, int(name[:3]) % 3, int(name[:3]), (20, 24))
    kinds = {suffix: sorted(place.glob(f"*.{suffix}")) for suffix in ("png", "jpg", "bmp", "webp")}
    for name in sorted(good)[12:]:
        number, suffix = int(name[:3]), name[4:]
        taken = kinds["jpg" if suffix == "png" else suffix]  # a JPEG that is named .png is good
        shutil.copy(taken[number % len(taken)], place / name)
    whole = kinds["jpg"][0].read_bytes()
    bad = {f"bad {number:02}.{('png', 'jpg')[number % 2]}" for number in range(50)}
    for number, name in enumerate(sorted(bad)):
        if number % 5 == 0:
            (place / name).write_bytes(whole[: len(whole) // 2])
        elif number % 5 == 1:
            (place / name).write_bytes(b"")
        elif number % 5 == 2:
            (place / name).write_text("no image, whatever it is named")
        elif number % 5 == 3:
            (place / name).symlink_to("nowhere")
        else:
            png(place / name, 20_000, 20_000)  # 400 million pixels, in 50 kB
    done, peak = with_its_peak("predict", str(folder), "many", "--csv", "out.csv")
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [f"many/{name}" for name in sorted(good)]
    told = {re.search(r"many/(bad \d+\.\w+) cannot be read: ", line)[1] for line in done.stderr.splitlines()[:-2]}
    assert told == bad
    assert "Error: 50 of 500 files could not be read." in done.stderr
    one, least = with_its_peak("predict", str(folder), f"many/{min(good)}")
    assert one.returncode == 0
    assert peak < least + 60, f"{peak} MiB, and {least} MiB for one small image"
