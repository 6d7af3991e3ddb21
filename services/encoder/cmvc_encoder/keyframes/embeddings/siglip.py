"""SigLIP and SigLIP 2 (Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training"; Tschannen et al. 2025).

SigLIP 2 of fixed resolution, such as ``google/siglip2-base-patch16-224``, has the architecture of SigLIP; the
variants called NaFlex, which keep a picture's shape, have one of their own.
"""

from collections.abc import Sequence
from dataclasses import replace

from cmvc.media.picture import Picture
from cmvc_encoder.keyframes.embeddings.base import Vectors
from cmvc_encoder.keyframes.embeddings.model import ModelSettings
from cmvc_encoder.keyframes.embeddings.vision import load_tower

DEFAULT_MODEL = "google/siglip-base-patch16-224"
CLASSES = {
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "siglip2": "Siglip2VisionModel",
    "siglip2_vision_model": "Siglip2VisionModel",
}


class SiglipEmbedder:
    """The image side of SigLIP: what its attention pooling gives."""

    id = "siglip"
    default_threshold = 0.85  # by experience: it spreads scenes wider than CLIP. Not measured with published weights.

    def __init__(self, settings: ModelSettings) -> None:
        """Keep the settings; the model is loaded when it is first needed."""
        self._settings = replace(settings, model=settings.model or DEFAULT_MODEL)

    def embed(self, pictures: Sequence[Picture], color_matrix: int) -> Vectors:
        """Return unit vectors; see ``Embedder``."""
        return load_tower(self._settings, CLASSES, "pooler_output").embed(pictures, color_matrix)
