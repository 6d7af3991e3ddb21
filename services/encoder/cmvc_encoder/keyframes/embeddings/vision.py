"""Vision towers of ``transformers`` as embeddings. Needs torch, transformers and Pillow; nothing here downloads."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import transformers

from cmvc.errors import InvalidSettingError
from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb
from cmvc_encoder.keyframes.embeddings.base import Vectors, unit
from cmvc_encoder.keyframes.embeddings.model import ModelSettings
from cmvc_encoder.model_files import find_files, load_config, load_images, load_weights, place, shared

BATCH = 16  # pictures in one run; 224 pixels square they take about 200 MB in a ViT-B in float32


class Tower:
    """One model and its image processor, in memory. Safe to use from several threads."""

    def __init__(
        self, model: transformers.PreTrainedModel, processor: transformers.BaseImageProcessor, output: str
    ) -> None:
        """Take over the model.

        Args:
            model: a vision model of transformers, on its device.
            processor: its image processor.
            output: name of the model's output that is the embedding, (n, d).
        """
        self._model = model
        self._processor = processor
        self._output = output
        self._in_use = threading.Lock()

    def embed(self, pictures: Sequence[Picture], color_matrix: int) -> Vectors:
        """Return unit vectors; see ``Embedder``."""
        return unit(np.concatenate(list(self._runs(pictures, color_matrix))))

    def _runs(self, pictures: Sequence[Picture], color_matrix: int) -> Iterator[Vectors]:
        for start in range(0, len(pictures), BATCH):
            images = [to_rgb(picture, color_matrix) for picture in pictures[start : start + BATCH]]
            inputs = self._processor(images, input_data_format="channels_last", return_tensors="pt")
            with self._in_use, torch.inference_mode():
                found = self._model(**inputs.to(self._model.device, self._model.dtype))
            yield getattr(found, self._output).float().cpu().numpy()


def load_tower(settings: ModelSettings, classes: dict[str, str], output: str) -> Tower:
    """Return a model in memory; the same object for the same settings, so that streams share it.

    Args:
        settings: which model, and where it runs.
        classes: name of the class in transformers for each ``model_type`` that will do.
        output: name of the model's output that is the embedding.

    Raises:
        InvalidSettingError: the model is of another type, or there is no such device.
        MissingWeightsError: it is not on this machine, or not whole.
    """
    return _load(settings, tuple(classes.items()), output)


@shared
def _load(settings: ModelSettings, classes: tuple[tuple[str, str], ...], output: str) -> Tower:
    device, dtype = place(settings.device, settings.dtype, on_gpu="float16")
    files = find_files(settings.model, "--embedding-model")
    kind = load_config(files).model_type
    cls = dict(classes).get(kind)
    if cls is None:
        known = " or ".join(dict(classes))
        raise InvalidSettingError(f"{settings.model} is a model of type '{kind}'; this embedding takes {known}")
    model = load_weights(files, getattr(transformers, cls), dtype=dtype, weights_only=True)
    return Tower(model.to(device), load_images(files), output)
