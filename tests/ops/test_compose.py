"""docker-compose.yml against the compose specification, an implementation, and the project itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import cmvc_options
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
BIN = Path(sys.executable).parent


def config(*profiles):
    """Return the file as podman-compose understands it."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed; podman-compose does not start without it")
    chosen = [part for profile in profiles for part in ("--profile", profile)]
    command = [BIN / "podman-compose", "-f", FILE, *chosen, "config"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.fixture
def services():
    return yaml.safe_load(FILE.read_text())["services"]


def test_it_is_valid_by_the_compose_specification():
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("profiles", [(), ("gpu",), ("mllm",), ("gpu", "mllm", "client")], ids="-".join)
def test_an_implementation_reads_it(profiles):
    read = config(*profiles)["services"]
    assert {"web", "gateway", "encoder", "decoder", "prometheus", "grafana"} <= set(read)
    assert read["decoder"]["deploy"]["replicas"] == 2


def test_without_profiles_nothing_needs_a_gpu_or_weights(services):
    default = [each for each in services.values() if "profiles" not in each]
    assert len(default) == 6
    assert not any("devices" in str(each) or "models" in str(each.get("volumes", "")) for each in default)


def test_how_much_a_gpu_decoder_takes_on_follows_from_the_speed_that_triton_is_told(services):
    triton, decoder = (services[name]["environment"] for name in ("triton", "decoder-gpu"))
    assert triton["CMVC_SPEED"] == decoder["CMVC_SPEED"]
    assert "CMVC_SERVE_DECODER_RUNNING" not in decoder


def test_every_file_it_names_is_there(services):
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_its_variables_are_options_of_the_services():
    for service in config("gpu", "mllm", "client")["services"].values():
        cmvc_options.check(service.get("environment") or {})


def test_services_run_without_rights_on_a_read_only_file_system(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_no_service_can_take_all_of_the_memory(services):
    for name, service in services.items():
        assert service["mem_limit"], name


def test_triton_is_reached_by_its_decoder_and_prometheus_alone(services):
    networks = {name: set(each.get("networks", ["default"])) for name, each in services.items()}
    beside = {name for name, theirs in networks.items() if theirs & networks["triton"]}
    assert beside == {"triton", "decoder-gpu", "prometheus"}
    assert "ports" not in services["triton"]


def test_images_have_pinned_tags(services):
    for name, service in services.items():
        assert service["image"].rpartition(":")[2] not in {"", "latest"}, name
