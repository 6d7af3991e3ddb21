"""The Triton model repository is what the profiles' facts say, no more and no less."""

from pathlib import Path

import pytest

from cmvc.profiles.registry import MODEL_PROFILES
from cmvc_decoder.triton.repository import config_of, write

REPOSITORY = Path(__file__).parents[2] / "services/decoder/model_repository"


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_the_repository_is_as_written_anew(tmp_path):
    write(tmp_path)
    assert contents(REPOSITORY) == contents(tmp_path), "run: make model-repository"


@pytest.mark.parametrize("facts", MODEL_PROFILES.values(), ids=MODEL_PROFILES)
def test_triton_reads_the_configuration(facts):
    configs = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="Triton's client is not installed")
    text_format = pytest.importorskip("google.protobuf.text_format")
    config = text_format.Parse(config_of(facts), configs.ModelConfig())
    assert (config.name, config.backend, config.model_transaction_policy.decoupled) == (facts.id, "python", True)
    assert config.dynamic_batching.default_queue_policy.max_queue_size == facts.triton.max_queue_size
    assert [group.count for group in config.instance_group] == [facts.triton.instances]
