"""VAE in tiles: the peak of memory no longer grows with the picture, at the price of computing overlaps twice.

Tiles overlap and are blended, so frames larger than one tile (256 pixels a side in Wan's VAE, 512 in LTX-Video's and
Stable Diffusion's) change slightly; smaller ones stay as they are.
"""

from typing import Any

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.parts import VAE, models


def apply_tiling(pipe: Any) -> None:
    """Let the VAE of a pipeline encode and decode in tiles.

    Raises:
        InvalidSettingError: it cannot.
    """
    vae: Any = models(pipe).get(VAE)
    if not hasattr(vae, "enable_tiling"):
        raise InvalidSettingError(f"the VAE of {type(pipe).__name__} has no tiles; use tiling=off")
    vae.enable_tiling()
