"""Vision towers of ``transformers`` as embeddings. Needs torch, transformers and Pillow; nothing here downloads."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging as transformers_log

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb
from cmvc_encoder.keyframes.embeddings.base import Vectors, unit
from cmvc_encoder.keyframes.embeddings.model import AUTO, ModelSettings

BATCH = 16  # pictures in one run; 224 pixels square they take about 200 MB in a ViT-B in float32
_loading = threading.Lock()


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
    with _loading:
        return _load(settings, tuple(classes.items()), output)


@lru_cache(maxsize=2)
def _load(settings: ModelSettings, classes: tuple[tuple[str, str], ...], output: str) -> Tower:
    transformers_log.disable_progress_bar()
    transformers_log.set_verbosity_error()  # it lists the text tower's weights, which are not needed, as unexpected
    device, dtype = _place(settings)
    source = _source(settings.model)
    with _telling(source):
        kind = transformers.AutoConfig.from_pretrained(**source).model_type
    cls = dict(classes).get(kind)
    if cls is None:
        known = " or ".join(dict(classes))
        raise InvalidSettingError(f"{settings.model} is a model of type '{kind}'; this embedding takes {known}")
    with _telling(source):
        model, loaded = getattr(transformers, cls).from_pretrained(
            dtype=dtype, weights_only=True, output_loading_info=True, **source
        )
        if loaded["missing_keys"]:  # transformers would go on with random ones
            raise ValueError(f"its weights lack {min(loaded['missing_keys'])}")
        # The PIL processors need no torchvision, and give the same numbers on every machine.
        processor = transformers.AutoImageProcessor.from_pretrained(backend="pil", **source)
    return Tower(model.eval().to(device), processor, output)


def _source(model: str) -> dict[str, Any]:
    """Return what ``from_pretrained`` is told: a folder, or an id and a revision in the local cache."""
    if Path(model).is_dir():
        return {"pretrained_model_name_or_path": model, "local_files_only": True}
    name, _, revision = model.partition("@")
    return {"pretrained_model_name_or_path": name, "revision": revision or "main", "local_files_only": True}


@contextmanager
def _telling(source: dict[str, Any]) -> Iterator[None]:
    """Turn what is wrong with files into one line that says what to do."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # a file is absent, damaged or does not fit
        name, revision = source["pretrained_model_name_or_path"], source.get("revision")
        if revision is None:
            reason = str(error).strip().split("\n", 1)[0]
            message = f"the folder {name} is no whole vision model: {reason}; name another one as the embedding model"
        else:
            get = f"hf download {name}" + ("" if revision == "main" else f" --revision {revision}")
            message = (
                f"the model {name} is not on this machine, or not whole; run: {get}, "
                "or name a folder that has it as the embedding model"
            )
        raise MissingWeightsError(message) from error


def _place(settings: ModelSettings) -> tuple[torch.device, torch.dtype]:
    gpu = torch.cuda.is_available()
    name = ("cuda" if gpu else "cpu") if settings.device == AUTO else settings.device
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InvalidSettingError(f"device={name} is no device of torch; use cpu, cuda or cuda:NUMBER") from None
    if device.type == "cuda" and (not gpu or (device.index or 0) >= torch.cuda.device_count()):
        raise InvalidSettingError(
            f"device={name} is not here: torch sees {torch.cuda.device_count()} GPUs; use device=cpu"
        )
    on_cpu = "float32" if device.type == "cpu" else "float16"
    dtype: torch.dtype = getattr(torch, on_cpu if settings.dtype == AUTO else settings.dtype)
    return device, dtype
