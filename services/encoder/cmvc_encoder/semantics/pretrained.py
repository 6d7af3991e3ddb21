"""From the files of a multimodal LLM to answers. Needs torch, transformers and Pillow, and so is imported late."""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from jinja2 import TemplateError
from PIL import Image

from cmvc.errors import InvalidSettingError, MissingServiceError, SemanticsError
from cmvc.media.rgb import Rgb
from cmvc_encoder.extra import INSTALL
from cmvc_encoder.model_files import (
    ModelFiles,
    find_files,
    first_line,
    load_config,
    load_images,
    load_weights,
    place,
    shared,
)

_log = logging.getLogger(__name__)


class Pretrained:
    """A model and its processor, in memory. Safe to use from several threads; one of them generates at a time."""

    def __init__(self, name: str, model: Any, processor: Any, template: str) -> None:  # noqa: ANN401 - they have no types
        """Take over the model.

        Args:
            name: of the model, for messages.
            model: of ``AutoModelForImageTextToText``, on its device.
            processor: its processor.
            template: its chat template, in Jinja.
        """
        self._name = name
        self._model = model
        self._processor = processor
        self._template = template
        self._in_use = threading.Lock()

    def answer(self, images: Sequence[Sequence[Rgb]], prompts: Sequence[str], max_tokens: int) -> list[str]:
        """Return what the model answers, word by word its likeliest.

        Args:
            images: of each question, equally many, all of one size.
            prompts: one for each question.
            max_tokens: bound on each answer.

        Raises:
            SemanticsError: memory does not suffice, or the model cannot take these questions.
        """
        try:
            with self._in_use, torch.inference_mode():  # tokenizers too take one thread at a time
                return self._answer(images, prompts, max_tokens)
        except torch.OutOfMemoryError as error:
            raise SemanticsError(
                f"the model {self._name} runs out of memory; set a smaller batch= or image_side=, or another model"
            ) from error
        except (RuntimeError, ValueError, IndexError, TemplateError) as error:  # of torch, processors and templates
            raise SemanticsError(f"the model {self._name} failed: {first_line(error)}") from error

    def _answer(self, images: Sequence[Sequence[Rgb]], prompts: Sequence[str], max_tokens: int) -> list[str]:
        tokenizer = self._processor.tokenizer
        inputs = self._processor(
            text=[self._dialogue(prompt, len(images[0])) for prompt in prompts],
            images=[[Image.fromarray(image) for image in each] for each in images],
            padding=True,
            add_special_tokens=False,  # the chat template has written them
            return_tensors="pt",
        )
        said = self._model.generate(
            **inputs.to(self._model.device, self._model.dtype),
            do_sample=False,
            max_new_tokens=max_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        answers: list[str] = tokenizer.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return answers

    def _dialogue(self, prompt: str, images: int) -> str:
        content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
        # Through the tokenizer: the processors' own way asks some of them for the settings of videos.
        text: str = self._processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
        )
        return text


def load(model: str, device: str, dtype: str, *, download: bool = False) -> Pretrained:
    """Return a model in memory; the same object for the same model, device and dtype, so that streams share it.

    Args:
        model: folder, or id in the local cache as ``ID@REVISION``.
        device: of torch; ``auto`` for a GPU where there is one.
        dtype: ``float32``, ``bfloat16`` or ``float16``; ``auto`` for ``bfloat16`` on a GPU and ``float32`` elsewhere.
        download: whether a model that is not on this machine is fetched.

    Raises:
        InvalidSettingError: there is no such device, or the model is of a kind that cannot be asked.
        MissingServiceError: a library that this model needs is not installed.
        MissingWeightsError: it is not on this machine, or not whole.
        SemanticsError: memory does not suffice.
    """
    return _load(model, *place(device, dtype, on_gpu="bfloat16"), download)


@shared
def _load(model: str, device: torch.device, dtype: torch.dtype, download: bool) -> Pretrained:
    files = find_files(model, "--model", download=download)
    if not files.revision and not files.is_folder:
        _log.warning(
            "the model %s has no fixed revision; write %s@COMMIT for captions that stay the same", model, model
        )
    config = load_config(files)
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise InvalidSettingError(f"{model} is of type '{config.model_type}', which does not talk about images")
    try:
        processor = _load_processor(files, config)
        cls = transformers.AutoModelForImageTextToText
        # No pickles: what is loaded is data.
        loaded = load_weights(files, cls, dtype=dtype, device_map=device, use_safetensors=True)
    except torch.OutOfMemoryError as error:
        raise SemanticsError(
            f"the model {model} does not fit into the memory of {device}; take a smaller one"
        ) from error
    except ImportError as error:
        raise MissingServiceError(
            f"the model {model} needs more: {first_line(error)} In a checkout: {INSTALL}"
        ) from error
    template = processor.chat_template or processor.tokenizer.chat_template
    if not template:
        raise InvalidSettingError(f"the model {model} has no chat template; take one that follows instructions")
    return Pretrained(model, loaded, processor, template)


def _load_processor(files: ModelFiles, config: Any) -> Any:  # noqa: ANN401 - they have no types
    """Return the model's processor of text and images, set up for batches and a bounded number of vision tokens.

    ``AutoProcessor`` would also load a processor of videos, which needs torchvision; that slot stays empty here.
    """
    cls: Any = transformers.PROCESSOR_MAPPING[type(config)]

    class ImagesOnly(cls):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
            """Let slots be empty."""
            return type(None) if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    images = load_images(files)
    if getattr(images, "do_image_splitting", False):
        images.do_image_splitting = False  # SmolVLM cuts an image into 17, of 64 tokens each
    with files.told():
        tokenizer = transformers.AutoTokenizer.from_pretrained(files.name, **files.arguments)
        tokenizer.padding_side = "left"  # answers of a batch begin at one position
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        parts = {"image_processor": images, "tokenizer": tokenizer}
        found, _ = cls.get_processor_dict(files.name, **files.arguments)
        return ImagesOnly.from_args_and_dict([parts.get(each) for each in cls.get_attributes()], found)
