"""docs/first-day.md runs as it stands, on a toy model and a real Triton server; and the doctor that it begins with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from first_day import DOCUMENT, FRAMES, HEIGHT, WIDTH, run, write_store
from servers import CMVC
from triton_server import SERVER

ROOT = Path(__file__).parents[3]
WAN = "wan-vace-1.3b"


def doctor(*arguments: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    done = subprocess.run([*CMVC, "doctor", "--json", *arguments], stdout=subprocess.PIPE, check=False)
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    return done.returncode, {each["name"]: each for each in report["findings"]}


@pytest.mark.slow
@pytest.mark.xdist_group("triton")
@pytest.mark.skipif(not SERVER.is_dir() or sys.version_info >= (3, 14), reason="there is no Triton server for this")
def test_every_block_of_the_document_runs(tmp_path):
    pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
    said = dict(run(tmp_path))
    for name in ("tt2v.mp4", "it2v.mp4", "vt2v.mp4", "served.mp4"):
        with av.open(str(tmp_path / name)) as container:
            shown = list(container.decode(video=0))
        assert (len(shown), shown[0].width, shown[0].height) == (FRAMES, WIDTH, HEIGHT), name
    assert (tmp_path / "served.mp4").read_bytes() == (tmp_path / "it2v.mp4").read_bytes()
    (served,) = (text for line, text in said.items() if line.startswith("cmvc doctor --triton"))
    assert f"ok      {WAN} in Triton: it answers" in served


def test_the_doctor_finds_weights_whole_broken_and_missing(tmp_path):
    write_store(tmp_path)
    code, found = doctor("--models", tmp_path)
    assert code == 0
    assert found["SVT-AV1"]["health"] == "ok"
    assert found[WAN]["health"] == "ok"
    assert found["ltx-video"]["health"] == "absent"
    assert "cmvc models pull ltx-video" in found["ltx-video"]["advice"]
    (tmp_path / WAN / "pipeline" / "model_index.json").unlink()
    code, found = doctor("--models", tmp_path, "--triton", "127.0.0.1:1")
    assert code == 1
    assert found[WAN]["health"] == "fault"
    assert "damaged" in found[WAN]["found"]
    assert found["Triton"]["health"] == "fault"


def test_everything_absent_or_broken_says_what_to_do(tmp_path):
    _, found = doctor("--models", tmp_path / "none")
    assert all(each["advice"] for each in found.values() if each["health"] != "ok")


def test_the_documents_links_lead_somewhere():
    text = DOCUMENT.read_text()
    assert shutil.which("bash")
    for target in (part.split(")")[0].split("#")[0] for part in text.split("](")[1:]):
        assert (DOCUMENT.parent / target).exists(), target
    assert (ROOT / "deploy/k8s/overlays/gpu-one/kustomization.yaml").is_file()
