"""Writes the Triton model repository from the profiles' facts: ``python -m cmvc_decoder.triton.repository FOLDER``.

What Triton is told is complete, since nothing is asked of the models themselves; docs/generators.md says what it means.
"""

import sys
from pathlib import Path

from cmvc.files import whole_file
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.registry import MODEL_PROFILES

_WRITTEN = "Written by make model-repository from cmvc/profiles; change it there."
_CONFIG = """\
# {written}
name: "{id}"
backend: "python"
max_batch_size: 1  # requests join runs of the model while they are in work: --speed batch= says how many
model_transaction_policy {{ decoupled: true }}
input [ {{ name: "SEGMENT" data_type: TYPE_UINT8 dims: [ -1 ] }} ]
output [
  {{ name: "PROGRESS" data_type: TYPE_INT32 dims: [ 2 ] }},
  {{ name: "NOTE" data_type: TYPE_UINT8 dims: [ -1 ] }},
  {{ name: "TAIL" data_type: TYPE_UINT8 dims: [ -1 ] }},
  {{ name: "FRAMES" data_type: TYPE_UINT8 dims: [ -1, -1 ] }}
]
instance_group [ {{ kind: KIND_AUTO count: {config.instances} }} ]
dynamic_batching {{
  default_queue_policy {{
    timeout_action: REJECT
    max_queue_size: {config.max_queue_size}
  }}
}}
model_warmup [ {{
  name: "canary"
  batch_size: 1
  inputs {{ key: "SEGMENT" value: {{ data_type: TYPE_UINT8 dims: [ 1 ] zero_data: true }} }}
}} ]
"""
_MODEL = f'''\
"""The profile that this folder is named after.

{_WRITTEN}
"""

from cmvc_decoder.triton.skin import TritonPythonModel

__all__ = ["TritonPythonModel"]  # what Triton looks for here
'''


def config_of(facts: ModelProfile) -> str:
    """Return a profile's ``config.pbtxt``: tensors as in ``cmvc_decoder.triton.wire``, a line that is bounded."""
    return _CONFIG.format(written=_WRITTEN, id=facts.id, config=facts.triton)


def write(repository: Path) -> None:
    """Write ``<repository>/<profile id>/`` for every profile that runs a model, in place of what stood there."""
    for facts in MODEL_PROFILES.values():
        folder = repository / facts.id
        (folder / "1").mkdir(parents=True, exist_ok=True)
        for path, content in ((folder / "config.pbtxt", config_of(facts)), (folder / "1" / "model.py", _MODEL)):
            with whole_file(path) as file:
                file.write(content.encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
