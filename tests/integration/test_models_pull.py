"""``cmvc models`` against a server on loopback that speaks the hub's protocol."""

import hashlib
import json
import os
import pty
import re
import subprocess
import threading
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import click
import pytest
from huggingface_hub import constants
from servers import CMVC, PATIENCE_S

from cmvc.cli import EXIT_USAGE, cli
from cmvc.profiles import weights as catalog
from cmvc.profiles.registry import MODEL_PROFILES, model_profile

PROFILE = "animatediff"
LARGE = "base/unet/diffusion_pytorch_model.safetensors"
NAMES = {each.name for each in model_profile(PROFILE).chosen(optional=False)}


class HubServer(ThreadingHTTPServer):
    """Serves small files under the names and commits of the catalog's repositories."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos = {}
        for weights in model_profile(PROFILE).weights:
            files = self.repos.setdefault(weights.repo, (weights.revision, {}))[1]
            for pattern in weights.files:
                path = pattern.replace("*", "tokenizer_config")
                files[path] = hashlib.shake_128(path.encode()).digest(300_000 if "unet/diff" in path else 999)
        self.repos[model_profile(PROFILE).weights[0].repo][1]["unet/not_asked_for.bin"] = b"?"
        self.requests = []  # (path, first byte)
        self.cuts = []  # of the next large downloads: bytes to send, and what to wait for then before cutting
        self.ranges = True  # whether downloads may begin within a file
        self.error = None  # (status, code) for all that is asked about a repository
        self.elsewhere = {}  # files that are not of the hub, by path
        self.sizes, self.digests = {}, {}  # what to say instead of the truth, by path
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def downloads(self):
        return [(path, first) for path, first in self.requests if "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        first = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.server.requests.append((path, first))
        if self.server.error:
            self.answer(self.server.error[0], b"", {"X-Error-Code": self.server.error[1], "X-Error-Message": "no"})
        elif match := re.fullmatch(r"/api/models/(.+?/.+?)/revision/(\w+)", path):
            self.describe(*match.groups())
        elif path in self.server.elsewhere:
            assert "Authorization" not in self.headers
            content = self.server.elsewhere[path]
            cut = self.server.cuts.pop(0) if self.server.cuts else None
            self.answer(206, content[first:], cut=cut)
        elif match := re.fullmatch(r"/(.+?/.+?)/resolve/(\w+)/(.+)", path):
            self.send_file(*match.groups(), first)

    def describe(self, repo, revision):
        commit, files = self.server.repos[repo]
        assert revision == commit
        siblings = [self.sibling(path, content) for path, content in files.items()]
        answer = {"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": siblings}
        self.answer(200, json.dumps(answer).encode())

    def sibling(self, path, content):
        size = self.server.sizes.get(path, len(content))
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"rfilename": path, "size": size, "blobId": self.server.digests.get(path, git)}
        if path.endswith(".safetensors"):
            sha256 = self.server.digests.get(path, hashlib.sha256(content).hexdigest())
            entry["lfs"] = {"size": size, "sha256": sha256, "pointerSize": 134}
        return entry

    def send_file(self, repo, revision, path, first):
        commit, files = self.server.repos[repo]
        assert revision == commit
        content = files[path][first if self.server.ranges else 0 :]
        cut = self.server.cuts.pop(0) if self.server.cuts and len(files[path]) > 10_000 else None
        headers = {"ETag": '"e"', "X-Repo-Commit": commit}
        self.answer(206 if self.server.ranges else 200, content, headers, cut)

    def answer(self, status, content, headers=None, cut=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if cut is None:
            self.wfile.write(content)
            return
        count, event = cut
        self.wfile.write(content[:count])
        event.wait(PATIENCE_S)
        self.close_connection = True


@pytest.fixture
def hub():
    server = HubServer()
    yield server
    server.shutdown()
    server.server_close()


@dataclass
class Run:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def environment(hub, tmp_path):
    """Variables for a process of its own, which reaches that hub and has an empty store."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "CMVC_"))}
    return kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "CMVC_MODELS": str(tmp_path / "store")}


@pytest.fixture
def models(hub, tmp_path, monkeypatch, capsys):
    """Return what runs ``cmvc models`` here, with the same hub and store."""
    monkeypatch.setenv("CMVC_MODELS", str(tmp_path / "store"))
    # What HF_ENDPOINT sets when huggingface_hub is imported.
    path = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + path)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)

    def run(*arguments):
        capsys.readouterr()
        try:
            code = cli.main(["models", *arguments], standalone_mode=False, prog_name="cmvc")
        except click.UsageError:
            code = EXIT_USAGE
        return Run(code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store" / PROFILE


def events(*counts):
    done = threading.Event()
    done.set()
    return [(count, done) for count in counts]


def process(environment, *arguments):
    return subprocess.run([*CMVC, "models", *arguments], env=environment, capture_output=True, text=True, check=False)


def failure(run):
    assert run.returncode == 1
    return run.stderr.splitlines()[-1]


def states(models):
    listed = json.loads(models("list", "--json").stdout)[PROFILE]
    return {each["name"]: each["state"] for each in listed["weights"]}


def test_pull_brings_what_the_catalog_names_once_and_whole(hub, models, folder):
    pulled = models("pull", PROFILE)
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout == f"{PROFILE}: ready in {folder}\n"
    assert "CreativeML-OpenRAIL-M: commercial use is allowed" in pulled.stderr
    assert {path.name for path in folder.iterdir()} == NAMES | {".lock"}
    for weights in model_profile(PROFILE).chosen(optional=False):
        commit, files = hub.repos[weights.repo]
        asked = {p: each for p, each in files.items() if any(fnmatchcase(p, pattern) for pattern in weights.files)}
        manifest = json.loads((folder / weights.name / "manifest.json").read_text())
        assert (manifest["repo"], manifest["commit"]) == (weights.repo, commit)
        assert manifest["files"] == {
            path: {"size": len(each), "sha256": hashlib.sha256(each).hexdigest()} for path, each in asked.items()
        }
        here = {path for path in (folder / weights.name).rglob("*") if path.is_file()}
        assert {path.relative_to(folder / weights.name).as_posix() for path in here} == {*asked, "manifest.json"}
        assert all((folder / weights.name / path).read_bytes() == each for path, each in asked.items())
    assert states(models) == {
        **dict.fromkeys(NAMES, "ready"),
        "lcm-motion-adapter": "missing",
        "lcm-lora": "missing",
    }

    verified = models("verify", PROFILE)
    assert verified.returncode == 0
    assert verified.stdout.startswith(f"{PROFILE}/base: 11 files, 0.00 GB, as pulled\n")
    hub.requests.clear()
    assert models("pull", PROFILE).returncode == 0
    (folder / ".lock").unlink()
    assert models("pull", PROFILE, "--offline").returncode == 0
    assert not (folder / ".lock").exists()  # a whole store is not written to, so it may be read-only
    assert hub.requests == []
    assert models("pull", PROFILE, "--optional").returncode == 0
    assert set(states(models).values()) == {"ready"}


def test_a_lost_connection_costs_nothing_that_came(hub, models, folder):
    hub.cuts = events(100_000, 50_000)
    pulled = models("pull", PROFILE)
    assert pulled.returncode == 0, pulled.stderr
    assert [first for path, first in hub.downloads() if "unet/diff" in path] == [0, 100_000, 150_000]
    assert (folder / LARGE).read_bytes() == hub.repos[model_profile(PROFILE).weights[0].repo][1]["unet/" + LARGE[10:]]


def test_a_server_that_begins_again_is_followed(hub, models):
    hub.ranges, hub.cuts = False, events(100_000)
    assert models("pull", PROFILE).returncode == 0
    assert models("verify", PROFILE).returncode == 0


def test_a_server_that_sends_nothing_more_is_given_up(hub, models):
    hub.repos[model_profile(PROFILE).weights[0].repo][1]["unet/diffusion_pytorch_model.safetensors"] = b"short"
    hub.sizes["unet/diffusion_pytorch_model.safetensors"] = 1000
    line = failure(models("pull", PROFILE))
    assert line.startswith(
        "error: BACKEND_UNAVAILABLE: nothing more comes of unet/diffusion_pytorch_model.safetensors;"
    )


def test_a_killed_pull_goes_on_where_it_was(hub, models, environment, folder):
    stalled = threading.Event()
    hub.cuts = [(200_000, stalled)]
    part = folder / ".base.part" / LARGE.removeprefix("base/")
    first = subprocess.Popen([*CMVC, "models", "pull", PROFILE], env=environment, stderr=subprocess.DEVNULL)
    await_true(lambda: part.exists() and part.stat().st_size > 100_000)
    second = models("pull", PROFILE)
    assert failure(second).startswith("error: OVERLOADED: ")
    first.kill()
    first.wait()
    stalled.set()
    assert states(models)["base"] == "partly there"
    came = part.stat().st_size
    hub.requests.clear()

    assert models("pull", PROFILE).returncode == 0
    assert [first for path, first in hub.downloads() if "unet/diff" in path] == [came]
    assert models("verify", PROFILE).returncode == 0


def test_what_is_not_what_the_hub_says_is_not_kept(hub, models, folder):
    hub.digests["unet/diffusion_pytorch_model.safetensors"] = "0" * 64
    assert failure(models("pull", PROFILE)).startswith("error: CHECKSUM: unet/diffusion_pytorch_model.safetensors is")
    assert states(models)["base"] == "partly there"
    assert not (folder / ".base.part" / LARGE.removeprefix("base/")).exists()

    hub.digests = {"vae/config.json": "0" * 40}
    assert failure(models("pull", PROFILE)).startswith("error: CHECKSUM: vae/config.json is not what")

    hub.digests = {}
    assert models("pull", PROFILE).returncode == 0


@pytest.mark.parametrize(("length", "asked"), [(17, [17, 0]), (300_000, [0]), (300_001, [0])])
def test_a_beginning_of_something_else_is_replaced(hub, models, folder, length, asked):
    part = folder / ".base.part" / LARGE.removeprefix("base/")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(length))
    assert models("pull", PROFILE).returncode == 0
    assert [first for path, first in hub.downloads() if "unet/diff" in path] == asked
    assert models("verify", PROFILE).returncode == 0


def test_verify_names_every_fault_and_a_pull_repairs_it(hub, models, folder):
    models("pull", PROFILE)
    large = folder / LARGE
    large.write_bytes(b"X" + large.read_bytes()[1:])
    (folder / "base/vae/config.json").unlink()
    (folder / "sparsectrl-rgb/more.bin").touch()
    verified = models("verify")
    assert verified.returncode == 1
    assert verified.stderr.splitlines() == [
        f"changed: {large}",
        f"missing: {folder}/base/vae/config.json",
        f"extra: {folder}/sparsectrl-rgb/more.bin",
        "error: MISSING_WEIGHTS: 3 files are not as pulled; remove those that changed and pull again",
    ]

    large.unlink()
    hub.requests.clear()
    assert models("pull", PROFILE).returncode == 0
    assert {path.split("/resolve/")[1].split("/", 1)[1] for path, _ in hub.downloads()} == {
        LARGE.removeprefix("base/"),
        "vae/config.json",
    }
    assert (folder / LARGE).read_bytes()[:1] != b"X"


def test_offline_asks_nobody_and_says_what_to_do(hub, models, environment):
    line = failure(models("pull", PROFILE, "--offline"))
    assert re.match("error: MISSING_WEIGHTS: .*base.*copy the folder from a machine that has them", line)
    line = failure(process(environment | {"HF_HUB_OFFLINE": "1"}, "pull", PROFILE))
    assert re.match("error: MISSING_WEIGHTS: .*base.*copy the model store from a machine that has them", line)
    assert hub.requests == []


def test_a_full_device_is_noticed_before_anything_is_downloaded(hub, models):
    hub.sizes["unet/diffusion_pytorch_model.safetensors"] = 10**18
    line = failure(models("pull", PROFILE))
    assert re.search(r"INVALID_SETTING: .*needs 1000000000\.0 GB more .*choose another place with --models", line)
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ((404, "RepoNotFound"), "MISSING_WEIGHTS: http.* has no stable-diffusion-v1-5/.*check HF_ENDPOINT"),
        ((404, "RevisionNotFound"), "MISSING_WEIGHTS: http.* has no .* at 451f4fe16113bff5a5d2269ed5ad43b0592e9a14"),
        ((403, "GatedRepo"), "MISSING_WEIGHTS: .* wants its terms accepted: do so at http.*, then set HF_TOKEN"),
        ((503, ""), "BACKEND_UNAVAILABLE: http.* answered 503; pull again later"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub, models, error, line):
    hub.error = error
    assert re.match(f"error: {line}", failure(models("pull", PROFILE)))


def test_an_unreachable_hub_is_explained(environment):
    line = failure(process(environment | {"HF_ENDPOINT": "http://127.0.0.1:9"}, "pull", PROFILE))
    assert line.startswith("error: BACKEND_UNAVAILABLE: cannot reach http://127.0.0.1:9 (")


def test_files_on_github_are_those_that_the_catalog_names(hub, models, tmp_path, monkeypatch):
    content = bytes(range(256)) * 100
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    file = catalog.GitFile("a/small.safetensors", len(content), blob)
    weights = catalog.Weights(
        "small", "owner/name", "1" * 40, (file.path,), file.size, catalog.Licence("MIT", "", ""), "", on_github=(file,)
    )
    facts = replace(model_profile(PROFILE), weights=(weights,))
    monkeypatch.setitem(MODEL_PROFILES, PROFILE, facts)
    monkeypatch.setattr(catalog, "GITHUB", hub.url)
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.elsewhere = {f"/owner/name/{weights.revision}/{file.path}": content}
    hub.cuts = events(9_000)
    assert models("pull", PROFILE).returncode == 0
    assert [first for _, first in hub.requests] == [0, 9_000]
    path = tmp_path / "store" / PROFILE / "small" / file.path
    assert path.read_bytes() == content
    assert models("verify", PROFILE).returncode == 0

    path.unlink()
    hub.elsewhere = dict.fromkeys(hub.elsewhere, content[::-1])
    assert failure(models("pull", PROFILE)).startswith("error: CHECKSUM: a/small.safetensors is not what")
    hub.error = (404, "")
    assert failure(models("pull", PROFILE)).startswith(f"error: MISSING_WEIGHTS: {hub.url} has no owner/name at 111")
    monkeypatch.setattr(catalog, "GITHUB", "http://127.0.0.1:9")
    assert failure(models("pull", PROFILE)).startswith("error: BACKEND_UNAVAILABLE: cannot reach http://127.0.0.1:9 (")


def test_unknown_profiles_and_unclear_wishes_are_refused(models):
    assert failure(models("pull", "animatedif")).startswith(
        "error: UNKNOWN_PROFILE: there are no models for 'animatedif'"
    )
    assert failure(models("verify", PROFILE)).endswith("run: cmvc models pull animatediff")
    assert models("pull").returncode == 2
    assert models("pull", PROFILE, "--all").returncode == 2


def test_a_person_at_a_terminal_sees_how_far_it_is(hub, environment):
    done = threading.Event()
    hub.cuts = [(150_000, done)]
    here, there = pty.openpty()
    environment |= {"TERM": "xterm", "COLUMNS": "120"}
    command = [*CMVC, "models", "pull", PROFILE]
    with subprocess.Popen(command, stderr=there, stdout=subprocess.DEVNULL, env=environment) as pull:
        os.close(there)
        shown = b""
        while chunk := read(here):
            shown += chunk
            if b"kB" in shown:
                done.set()
    assert pull.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"animatediff/base .*/\d+\.\d kB", text)


def read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other side has closed
        return b""


def await_true(condition):
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)
