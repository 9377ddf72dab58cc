"""Pushing to a stand-in for the Hugging Face Hub on this machine: what arrives, what does not, what errors say."""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard
from support import ftrun_process

from ftrun.cli import main
from ftrun_devkit import tiny, tiny_spec

# Of the library's own way to upload a large file, by its HTTP client.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_" + "secret" * 5
FILES = {"README.md", "metrics.jsonl", "model.safetensors", "net.json", "resolved.json", "results.json"}
REPOSITORY = "somebody/digits"


class Hub:
    """Repositories in memory, behind the requests that the library makes. What it is not made for is 404."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse: dict[tuple[str, str], tuple[int, str]] = {}
        """(method, end of the path): (status, what it says)."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                path = self.path.partition("?")[0]
                hub.requests.append((self.command, path))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                status, answer = hub.answer(self.command, path, body, self.headers.get("Authorization"))
                said = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_HEAD = handle_one  # noqa: N815  (http.server's names)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, args=[0.01], daemon=True)  # s that shutdown waits for
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, method: str, path: str, body: bytes, login: str | None) -> tuple[int, Any]:
        for (refused, end), (status, said) in self.refuse.items():
            if method == refused and path.endswith(end):
                return status, {"error": said}
        if method == "PUT" and path.startswith("/upload/"):
            oid = path.rpartition("/")[2]
            if hashlib.sha256(body).hexdigest() != oid:
                return 400, {"error": "the content is not that of the name"}
            self.uploads[oid] = body
            return 200, {}
        if login != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if (method, path) == ("POST", "/api/repos/create"):
            return self._create(json.loads(body))
        owner, _, rest = path.removeprefix("/api/models/").removeprefix("/").partition("/")
        name, _, what = rest.partition("/")
        repository = self.repositories.get(f"{owner}/{name.removesuffix('.git')}")
        if repository is None:
            return 404, {"error": "Repository not found"}
        if what == "":
            return 200, {"id": f"{owner}/{name}", "private": repository["private"]}
        if what == "preupload/main":
            modes = [
                {"path": each["path"], "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular"}
                for each in json.loads(body)["files"]
            ]
            return 200, {"files": [{**each, "shouldIgnore": False, "oid": None} for each in modes]}
        if what == "info/lfs/objects/batch":
            return 200, {"transfer": "basic", "objects": [self._place(each) for each in json.loads(body)["objects"]]}
        if what == "commit/main":
            return self._commit(f"{owner}/{name}", [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"no such place: {path}"}

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        owner = asked.get("organization") or "somebody"
        full = f"{owner}/{asked['name']}"
        answer = {"url": f"{self.address}/{full}"}
        if full in self.repositories:
            return 409, {"error": "You already created this model repo", **answer}
        private = asked.get("private", asked.get("visibility") == "private")
        self.repositories[full] = {"private": private, "files": {}, "commits": []}
        return 200, answer

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.address}/upload/{wanted['oid']}"
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": {"href": href}}}

    def _commit(self, full: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        repository = self.repositories[full]
        header, *files = lines
        for line in files:
            value = line["value"]
            content = base64.b64decode(value["content"]) if line["key"] == "file" else self.uploads[value["oid"]]
            repository["files"][value["path"]] = content
        repository["commits"].append(header["value"]["summary"])
        return 200, {"commitUrl": f"{self.address}/{full}/commit/1", "commitOid": "0" * 40}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with exports, and with what is nobody else's business."""
    place = tmp_path_factory.mktemp("runs")
    (place / "spec.json").write_text(json.dumps(tiny_spec(metrics=["accuracy"])))
    result = CliRunner().invoke(
        main, [str(place / "spec.json"), "--parts", str(tiny.__file__), "--out", str(place / "run"), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    exports = place / "run" / "exports"
    exports.mkdir()
    (exports / "net.onnx").write_bytes(b"a net")
    (exports / ".half").write_bytes(b"half of one")
    (exports / "link.onnx").symlink_to("/etc/passwd")
    (place / "run" / ".secret").write_text("nobody's business")
    return place / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    stand_in = Hub()
    monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # its servers are not stood in for
    yield stand_in
    stand_in.close()


@pytest.fixture
def push(run: Path, hub: Hub) -> Callable[..., Result]:
    def invoke(repository: str = REPOSITORY, *more: str) -> Result:
        result = CliRunner().invoke(main, ["push", str(run), repository, "--to", "huggingface", *more])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert TOKEN not in result.output
        return result

    return invoke


def test_the_bytes_arrive_and_nothing_else_does(push, hub, run) -> None:
    result = push()
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"pushed: {hub.address}/{REPOSITORY}/commit/1\n")
    (repository,) = hub.repositories.values()
    expected = {name: run / name for name in FILES - {"model.safetensors", "net.json"}}
    expected |= {name: run / "checkpoints/best" / name for name in ("model.safetensors", "net.json")}
    expected["exports/net.onnx"] = run / "exports/net.onnx"
    assert repository["files"] == {name: path.read_bytes() for name, path in expected.items()}
    assert (repository["private"], len(repository["commits"])) == (False, 1)
    assert repository["commits"][0].startswith("run: test ")
    asked = {f"/api/models/{REPOSITORY}/{each}" for each in ("preupload/main", "commit/main")}
    weights = hashlib.sha256((run / "checkpoints/best/model.safetensors").read_bytes()).hexdigest()
    allowed = {"/api/repos/create", "/api/validate-yaml", f"/{REPOSITORY}.git/info/lfs/objects/batch", *asked}
    assert {path for _, path in hub.requests} == {*allowed, f"/upload/{weights}"}
    listed = [line.split()[-1] for line in result.output.splitlines()[:-1]]
    assert sorted(listed) == sorted(expected)


def test_a_second_push_is_a_second_commit(push, hub) -> None:
    assert push().exit_code == 0
    assert push(REPOSITORY, "--message", "again").exit_code == 0
    assert hub.repositories[REPOSITORY]["commits"][1:] == ["again"]


def test_a_name_without_an_owner_is_ones_own(push, hub) -> None:
    assert push("digits").exit_code == 0
    assert set(hub.repositories) == {REPOSITORY}
    assert set(hub.repositories[REPOSITORY]["files"]) > FILES


def test_private_is_private_or_not_pushed(push, hub) -> None:
    assert push("somebody/mine", "--private").exit_code == 0
    assert hub.repositories["somebody/mine"]["private"] is True
    assert push("somebody/mine", "--private").exit_code == 0
    assert push().exit_code == 0
    before = dict(hub.repositories[REPOSITORY]["files"])
    result = push(REPOSITORY, "--private", "--message", "not for all")
    assert result.exit_code == 1
    assert f"{REPOSITORY} is there already, for all to see, and you asked for --private. Nothing was" in result.output
    assert hub.repositories[REPOSITORY]["files"] == before
    assert "not for all" not in hub.repositories[REPOSITORY]["commits"]


def test_a_dry_run_asks_nothing_and_needs_no_login(push, hub, run, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (run / "README.md").unlink()
    result = push(REPOSITORY, "--dry-run", "--private")
    assert result.exit_code == 0
    assert result.output.endswith(f"would go to {REPOSITORY}, huggingface, private; nothing was pushed\n")
    assert "exports/net.onnx" in result.output
    assert hub.requests == []
    assert not (run / "README.md").exists()


def test_a_card_is_made_where_there_is_none(push, hub, run) -> None:
    expected = (run / "README.md").read_bytes()
    (run / "README.md").unlink()
    assert push().exit_code == 0
    assert hub.repositories[REPOSITORY]["files"]["README.md"] == expected


CREATE, COMMIT = ("POST", "/api/repos/create"), ("POST", "/commit/main")


@pytest.mark.parametrize(
    ("refuse", "said", "message"),
    [
        ({CREATE: (403, "no")}, "403", "the token may not write there. Take one that may, or another repository. It"),
        ({COMMIT: (409, "moved on")}, "409", "somebody else is at work in that repository. Try again. It says: moved"),
        ({COMMIT: (403, f"not with {TOKEN}")}, "403", "It says: not with ***"),
        ({COMMIT: (400, "bad\nsecond line")}, "400", "it does not take what it was sent. It says: bad"),
        ({COMMIT: (413, "large")}, "413", "it does not take files of that size. It says: large"),
        ({COMMIT: (500, "oh")}, "500", "try again later. It says: oh"),
        ({("POST", "/objects/batch"): (403, "quota")}, "403", "the token may not write there."),
    ],
    ids=["create", "conflict", "token", "bad", "large", "fault", "lfs"],
)
def test_what_the_server_refuses_is_one_message(refuse, said, message, push, hub) -> None:
    hub.refuse = refuse
    result = push()
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last.startswith(f"Error: {hub.address} refuses {REPOSITORY} ({said}): "), result.output
    assert message in last
    assert "Traceback" not in result.output
    assert not any(each["files"] for each in hub.repositories.values())


def test_a_login_that_is_wrong_or_missing(push, hub, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    result = push()
    assert result.exit_code == 1
    assert f"{hub.address} refuses {REPOSITORY} (401): it does not know the token." in result.output
    assert "hf_wrong" not in result.output
    hub.requests.clear()
    monkeypatch.delenv("HF_TOKEN")
    result = push()
    assert result.exit_code == 1
    assert f"Error: there is no login for {hub.address}. Set HF_TOKEN to a token that may write" in result.output
    assert hub.requests == []


def test_a_server_that_is_not_there(push, hub, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # "discard": nobody listens
    result = push()
    assert result.exit_code == 1
    assert (
        "Error: http://127.0.0.1:9 cannot be reached, or does not answer as a hub does: ConnectError" in result.output
    )


def test_a_server_that_is_no_hub(push, hub) -> None:
    hub.refuse = {CREATE: (200, "what is it?")}
    result = push()
    assert result.exit_code == 1
    assert f"Error: {hub.address} cannot be reached, or does not answer as a hub does: KeyError" in result.output


@pytest.mark.parametrize("name", ["a/b/c", "..", "a--b", "no spaces", "x" * 97, "a/.git"])
def test_a_name_that_no_repository_has(name, push, hub) -> None:
    result = push(name)
    assert result.exit_code == 2
    assert f"Error: {name}: is no name of a repository." in result.output
    assert hub.requests == []


def test_what_is_not_to_be_pushed(push, run, hub) -> None:
    result = push(REPOSITORY, "--message", " ")
    assert (result.exit_code, "--message: is empty." in result.output) == (2, True)
    result = push(REPOSITORY, "--set", "private=true")
    assert (result.exit_code, "no such option." in result.output) == (2, True), result.output
    weights = run / "checkpoints/best/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for dry_run in ((), ("--dry-run",)):
        result = push(REPOSITORY, *dry_run)
        assert (result.exit_code, "model.safetensors: is damaged" in result.output) == (1, True)
    (run / "status.json").write_text('{"state": "failed"}')
    result = push()
    assert (result.exit_code, "this run is failed. What is pushed is a finished one" in result.output) == (2, True)
    assert hub.requests == []


def test_as_a_process_of_its_own(hub, run, tmp_path) -> None:
    """With nothing of this process: HF_ENDPOINT and the library's settings come from the environment alone."""
    environment = {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = ftrun_process("push", run, REPOSITORY, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert TOKEN not in done.stdout
    assert set(hub.repositories[REPOSITORY]["files"]) == {*FILES, "exports/net.onnx"}


def test_the_card_is_one_by_the_hubs_own_library(run) -> None:
    card = ModelCard((run / "README.md").read_text(encoding="utf-8"))
    results = json.loads((run / "results.json").read_text())
    assert card.data.library_name == "ftrun"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.model_name == "run"
    found = {each.metric_name: each.metric_value for each in card.data.eval_results}
    assert found == {name: value for name, value in results["test"].items() if isinstance(value, float)}
    assert {each.dataset_split for each in card.data.eval_results} == {"test"}
    assert "## Limits" in card.text
    assert ModelCard(card.content).data.to_dict() == card.data.to_dict()
