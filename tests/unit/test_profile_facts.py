"""Facts of profiles are said once, in ``cmvc.profiles``: whoever repeats one is held to it here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cmvc.bitstream.modes import MODE_NAMES
from cmvc.bitstream.stream import DEFAULT_PROFILES
from cmvc.errors import UnknownProfileError
from cmvc.profiles import embedded
from cmvc.profiles.registry import MODEL_PROFILES, PROFILES, model_profile, profile_of
from cmvc.v1 import common_pb2
from cmvc_decoder.generators.registry import IMPLEMENTATIONS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "numpy", "grpc")
EACH = pytest.mark.parametrize("facts", MODEL_PROFILES.values(), ids=MODEL_PROFILES)


def architecture(facts, component):
    file = ROOT / "benchmarks" / "gpu" / "architectures" / facts.id / f"{component}.json"
    return json.loads(file.read_text())


def components(profile_id):
    return {file.stem for file in (ROOT / "benchmarks" / "gpu" / "architectures" / profile_id).glob("*.json")}


def row(file, facts):
    """Return the cells of a profile's row in a document."""
    (line,) = re.findall(rf"^\| `{re.escape(facts.id)}` \|(.*)\|$", (ROOT / file).read_text(), re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


def test_facts_are_read_where_no_model_could_run():
    code = f"import sys, cmvc.profiles.registry; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_a_profile_is_found_by_its_id_or_named_with_those_that_there_are():
    assert [profile_of(each).id for each in PROFILES] == list(PROFILES)
    with pytest.raises(UnknownProfileError, match="'no-such'; known: embedded, wan-vace"):
        profile_of("no-such")
    with pytest.raises(UnknownProfileError, match="'embedded'; profiles with models: wan-vace"):
        model_profile("embedded")


def test_every_profile_that_needs_weights_has_what_runs_it_and_no_other():
    assert IMPLEMENTATIONS.keys() == MODEL_PROFILES.keys()


@EACH
def test_every_profile_decodes_what_needs_no_model(facts):
    assert common_pb2.MODE_CODED in facts.modes


@EACH
def test_windows_follow_the_vaes_latents_in_time(facts):
    vae, rule = architecture(facts, "vae"), facts.grid.frames
    per_latent = vae.get("temporal_compression_ratio") or 2 ** sum(vae.get("temperal_downsample", []))  # sic
    assert rule.multiple == per_latent
    assert rule.offset == (1 if per_latent > 1 else 0)
    for frames in (rule.least, rule.most, facts.grid.overlap):
        assert (frames - rule.offset) % rule.multiple == 0
    assert facts.grid.overlap < rule.most


@EACH
def test_the_text_encoder_reads_as_many_tokens(facts):
    if not facts.reads_text:
        assert "text_encoder" not in components(facts.id)
        return
    encoder = architecture(facts, "text_encoder")
    assert facts.text_tokens <= encoder.get("max_position_embeddings", 512)  # T5 has none; both were used at up to 512


@EACH
@pytest.mark.parametrize("file", ["README.md", "docs/generators.md"])
def test_documents_say_which_modes_it_has(file, facts):
    cells = row(file, facts)
    modes = [mode for mode in MODE_NAMES if mode != common_pb2.MODE_CODED]
    named = [mode for mode, cell in zip(modes, cells, strict=False) if cell == "✓"]
    named = named or [mode for mode in modes if MODE_NAMES[mode].upper() in cells[1].split(", ")]
    assert {*named, common_pb2.MODE_CODED} == set(facts.modes)


@EACH
def test_documents_say_how_many_frames_it_makes_and_what_memory_it_takes(facts):
    _, _, frames, memory, _ = row("docs/generators.md", facts)
    rule = facts.grid.frames
    counts = f"{rule.multiple}k + {rule.offset} up to {rule.most}" if rule.offset else f"{rule.least} to {rule.most}"
    assert frames == f"{rule.most if rule.least == rule.most else counts}, {facts.grid.frame_rate}/s"
    assert memory == f"{facts.vram_gib} GiB"


def test_what_is_deployed_names_profiles_that_need_weights():
    compose = (ROOT / "docker-compose.yml").read_text()
    gpu = "\n".join(file.read_text() for file in (ROOT / "deploy/k8s/components/gpu-triton").glob("*.yaml"))
    chosen = re.findall(r"CMVC_PROFILE:-([\w.-]+)", compose)
    chosen += re.findall(r"args: \[([\w.-]+)\]", gpu) + re.findall(r"CMVC_TRITON_PROFILES, value: ([\w.-]+)", gpu)
    assert len(chosen) == 6
    assert set(chosen) <= MODEL_PROFILES.keys()
    (served,) = re.findall(r"CMVC_SERVE_DECODER_PROFILES, value: ([\w. -]+)", gpu)
    assert set(served.split()) <= PROFILES.keys()


def test_the_volume_in_a_cluster_holds_the_weights_of_every_profile():
    manifest = (ROOT / "deploy/k8s/components/gpu-triton/models.yaml").read_text()
    (gibibytes,) = re.findall(r"requests: \{storage: (\d+)Gi\}", manifest)
    # What is made from weights is at most as large as they are, and stays beside them.
    needed = [each.size * (2 if facts.made else 1) for facts in MODEL_PROFILES.values() for each in facts.weights]
    assert sum(needed) < int(gibibytes) << 30


def test_a_stream_without_a_table_is_made_for_embedded_as_it_is():
    plain, restored = DEFAULT_PROFILES.profiles
    assert {(each.id, each.revision) for each in (plain, restored)} == {
        (embedded.PROFILE.id, embedded.PROFILE.revision)
    }
    assert [dict(each.settings) for each in (plain, restored)] == [{}, {"restorer": "fidelity"}]
