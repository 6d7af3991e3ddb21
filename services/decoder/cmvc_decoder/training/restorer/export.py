"""From the trained network to the ONNX file that decoders run: 8-bit planes in, 8-bit planes out."""

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from cmvc.errors import InvalidSettingError
from cmvc.files import whole_file
from cmvc.restoration.condition import CELL
from cmvc_decoder.training.restorer.network import Restorer

_OPSET = 18  # an old one, so that any ONNX Runtime in use reads it


_INSIDE = "network."  # what weights are called in the file begins with


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the network's weights out of a file that ``export`` wrote.

    Raises:
        InvalidSettingError: it is no such file.
    """
    try:
        initializers = onnx.load(path).graph.initializer
    except (OSError, DecodeError) as error:
        raise InvalidSettingError(f"{path} cannot be started from: {error}") from None
    found = {each.name.removeprefix(_INSIDE): each for each in initializers if each.name.startswith(_INSIDE)}
    weights = {name: torch.from_numpy(numpy_helper.to_array(each).copy()) for name, each in found.items()}
    wanted = {name: each.shape for name, each in Restorer().state_dict().items()}
    if wanted != {name: each.shape for name, each in weights.items()}:
        raise InvalidSettingError(f"{path} is no restorer of this network; start from one that this command wrote")
    return weights


class _InCodes(nn.Module):
    """The network between planes of bytes."""

    def __init__(self, network: Restorer) -> None:
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor, chroma: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        shown = self.network(luma.float(), chroma.float(), condition)
        luma, chroma = (torch.clamp(torch.round(part), 0, 255).to(torch.uint8) for part in shown)
        return luma, chroma


def export(network: Restorer, path: Path) -> None:
    """Write the network as ONNX: any number of cells a side, one picture at a time."""
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns")
    luma = torch.zeros(1, 3, 8 * CELL, 12 * CELL, dtype=torch.uint8)
    chroma = torch.zeros(1, 2, 4 * CELL, 6 * CELL, dtype=torch.uint8)
    program = torch.onnx.export(
        _InCodes(network).eval().cpu(),
        (luma, chroma, torch.zeros(1, 2)),
        input_names=["luma", "chroma", "condition"],
        output_names=["restored_luma", "restored_chroma"],
        dynamic_shapes={
            "luma": {2: CELL * rows, 3: CELL * columns},
            "chroma": {2: CELL // 2 * rows, 3: CELL // 2 * columns},
            "condition": None,
        },
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    with whole_file(path) as file:
        file.write(program.model_proto.SerializeToString())
