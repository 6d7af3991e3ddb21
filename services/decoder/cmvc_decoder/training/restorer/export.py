"""From the trained network to the ONNX file that decoders run: 8-bit planes in, 8-bit planes out."""

from pathlib import Path

import torch
from torch import Tensor, nn

from cmvc.files import whole_file
from cmvc.restoration.condition import CELL
from cmvc_decoder.training.restorer.network import Restorer

_OPSET = 18  # an old one, so that any ONNX Runtime in use reads it


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
