"""CLIP (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision")."""

from collections.abc import Sequence
from dataclasses import replace

from cmvc.media.picture import Picture
from cmvc_encoder.keyframes.embeddings.base import Vectors
from cmvc_encoder.keyframes.embeddings.model import ModelSettings
from cmvc_encoder.keyframes.embeddings.vision import load_tower

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
CLASSES = {"clip": "CLIPVisionModelWithProjection", "clip_vision_model": "CLIPVisionModelWithProjection"}


class ClipEmbedder:
    """The image side of CLIP, projected into the space that it shares with text."""

    id = "clip"
    default_threshold = 0.88  # by experience: frames of a scene are over 0.9. Not measured with the published weights.

    def __init__(self, settings: ModelSettings) -> None:
        """Keep the settings; the model is loaded when it is first needed."""
        self._settings = replace(settings, model=settings.model or DEFAULT_MODEL)

    def embed(self, pictures: Sequence[Picture], color_matrix: int) -> Vectors:
        """Return unit vectors; see ``Embedder``."""
        return load_tower(self._settings, CLASSES, "image_embeds").embed(pictures, color_matrix)
