"""The images: really built, and a video really goes through what runs from them. `make images-check` runs this."""

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

import images
import pytest
import yaml
from media_files import moving_frames, read_all, write_video

SERVICES = ("gateway", "encoder", "decoder", "web")
ADDRESSES = {
    "gateway": ("127.0.1.1",),
    "encoder": ("127.0.1.2",),
    "decoder": ("127.0.1.3", "127.0.1.4"),
    "web": ("127.0.0.1",),  # where its health check asks
}
PORTS = {"gateway": 50051, "encoder": 50051, "decoder": 50051, "web": 8080}
HEALTH_PORT = 50052
HEAVY = ("torch", "av", "numpy", "opencv_python_headless", "transformers", "diffusers")
TOOLS = ("gcc", "cc", "make", "ld")
LIMIT_MB = {"gateway": 75, "encoder": 550, "decoder": 550, "web": 75}  # beside the base image

pytestmark = pytest.mark.skipif(bool(images.why_not()), reason=images.why_not())


@pytest.fixture(scope="module", autouse=True)
def _clean():
    yield
    images.clean()


def packages(image):
    """Return the Python distributions in the image's environment."""
    folders = images.root_of(image.name).glob("opt/cmvc/lib/python3*/site-packages/*.dist-info")
    return {re.split(r"-\d", folder.name)[0].lower() for folder in folders}


@pytest.mark.parametrize("service", SERVICES)
def test_the_config_says_how_to_run_it_and_nothing_of_how_it_was_built(service):
    image = images.build(service)
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] == ["/opt/cmvc/bin/cmvc", "serve", service]
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
    probed = set() if service == "web" else {f"{HEALTH_PORT}/tcp"}
    assert set(image.config["ExposedPorts"]) == {f"{PORTS[service]}/tcp", "9090/tcp"} | probed
    assert image.config["Labels"]["org.opencontainers.image.title"] == f"cmvc-{service}"
    assert not re.search(r"PIP_|/run/secrets|ca-certificates\.crt", image.text)


@pytest.mark.parametrize("service", SERVICES)
def test_it_carries_no_build_tools(service):
    image = images.build(service)
    assert not packages(image) & {"pip", "setuptools", "wheel"}
    root = images.root_of(image.name)
    assert [tool for tool in TOOLS if (root / "usr/bin" / tool).exists()] == []
    assert not (root / "src").exists()


@pytest.mark.parametrize("service", ["gateway", "web"])
def test_who_passes_streams_on_carries_no_media_and_no_models(service):
    assert not packages(images.build(service)) & set(HEAVY)


@pytest.mark.parametrize("service", ["encoder", "decoder"])
def test_a_service_without_models_carries_no_torch(service):
    found = packages(images.build(service))
    assert "av" in found
    assert not found & {"torch", "transformers", "diffusers"}


def test_sizes_stay_small():
    base = images._size(images.base()) / 1e6
    added = {service: images.build(service).size / 1e6 - base for service in SERVICES}
    lines = [
        f"{service}: {added[service] + base:.0f} MB, {added[service]:.0f} MB of them beside the base"
        for service in SERVICES
    ]
    print("", *lines, sep="\n")
    (images.STATE / "sizes.txt").write_text("\n".join(lines) + "\n")
    assert [service for service in SERVICES if added[service] > LIMIT_MB[service]] == []


class Running:
    """Images that run as docker-compose.yml has them, each replica on a loopback address of its own."""

    def __init__(self, folder):
        self.hosts = folder / "hosts"
        lines = [f"{address} {name}\n" for name, addresses in ADDRESSES.items() for address in addresses]
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
        self.compose = yaml.safe_load((images.ROOT / "docker-compose.yml").read_text())["services"]
        self.processes = {}
        self.said = {}

    def start(self, service, address):
        upper = f"CMVC_SERVE_{service.upper()}"
        given = self.compose[service].get("environment", {})
        environment = {name: value for name, value in given.items() if "${" not in value}
        environment |= {f"{upper}_LISTEN": f"{address}:{PORTS[service]}", f"{upper}_METRICS_LISTEN": f"{address}:9090"}
        if service == "web":
            environment["CMVC_SERVE_WEB_STORE"] = "/tmp/store"  # the only place here that can be written to
        else:
            environment[f"{upper}_HEALTH_LISTEN"] = f"{address}:{HEALTH_PORT}"
        image = images.build(service)
        process = images.start(
            image, image.config["Entrypoint"], self.hosts, environment, stderr=subprocess.PIPE, text=True
        )
        self.processes[address], self.said[address] = process, []
        for line in process.stderr:
            self.said[address].append(line)
            if line.startswith("listening on"):
                threading.Thread(target=self.said[address].extend, args=(process.stderr,), daemon=True).start()
                return
        raise AssertionError("".join(self.said[address]))

    def health(self, service, address, *more):
        image = images.build(service)
        where = () if service == "web" else ("--address", f"{address}:{HEALTH_PORT}")
        command = [*image.config["Healthcheck"]["Test"][1:], *where, *more]
        return images.start(image, command, self.hosts).wait()

    def metric(self, address, name):
        with urlopen(f"http://{address}:9090/metrics") as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    stack = Running(tmp_path_factory.mktemp("images"))
    try:
        for service in ("encoder", "decoder", "gateway", "web"):
            for address in ADDRESSES[service]:
                stack.start(service, address)
        yield stack
    finally:
        for process in stack.processes.values():
            process.terminate()
        for process in stack.processes.values():
            process.wait(60)


def cmvc(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "cmvc.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def wait_until_well(running, service, address):
    for _ in range(60):
        if running.health(service, address) == 0:
            return
    raise AssertionError(running.said[address])


def test_a_video_goes_through_the_running_images(running, tmp_path):
    for service, addresses in ADDRESSES.items():
        for address in addresses:
            wait_until_well(running, service, address)
    source, stream, back = tmp_path / "in.mkv", tmp_path / "a.cmvc", tmp_path / "back.mp4"
    source.write_bytes(write_video(moving_frames(240, 128, 96)))
    target = ("--target", f"{ADDRESSES['gateway'][0]}:50051")
    cmvc("encode", source, stream, "--mode", "it2v", "--bitrate", "30k", *target)
    cmvc("decode", stream, back, *target)
    assert len(read_all(str(back))[1]) == 240
    assert running.metric(ADDRESSES["encoder"][0], "cmvc_requests_total") >= 1
    for address in ADDRESSES["decoder"]:
        assert running.metric(address, 'cmvc_requests_total{code="OK"') >= 1, "the gateway did not find it"


def test_a_video_goes_through_the_studio(running):
    (address,) = ADDRESSES["web"]
    wait_until_well(running, "web", address)
    url = f"http://{address}:{PORTS['web']}"
    with urlopen(url) as page:
        assert b"CMVC studio" in page.read()
    video = write_video(moving_frames(48, 128, 96))
    with urlopen(Request(f"{url}/v1/encode?mode=coded&bitrate=40k", video)) as lines:
        events = [json.loads(line) for line in lines]
    assert (events[-1]["event"], events[-1]["frames"]) == ("done", 48), events[-1]
    with urlopen(f"{url}/v1/streams/{events[0]['id']}/video.mp4") as answer:
        assert len(read_all(answer.read())[1]) == 48


def test_health_tells_living_from_able(running):
    gateway = ADDRESSES["gateway"][0]
    assert running.health("gateway", gateway, "--service", "cmvc.v1.VideoDecoder") == 0
    assert running.health("gateway", gateway, "--service", "cmvc.v1.Unheard") == 1
    assert running.health("gateway", gateway, "--service", "cmvc.v1.Unheard", "--live") == 0
    assert running.health("gateway", "127.0.1.9", "--live") == 1


def test_no_process_runs_as_root_or_can_write_to_its_image(running):
    for address, process in running.processes.items():
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+10001\s+10001\s+10001\s+10001$", status, re.MULTILINE), address
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), address
        mounts = [line.split() for line in Path(f"/proc/{process.pid}/mounts").read_text().splitlines()]
        assert "ro" in next(options.split(",") for _, where, _, options, *_ in mounts if where == "/"), address


def test_they_end_well_when_told_to(running):
    for address, process in running.processes.items():
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, running.said[address]
