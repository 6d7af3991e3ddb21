"""From the files of a multimodal LLM to answers. Needs torch, transformers and Pillow, and so is imported late."""

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from jinja2 import TemplateError
from PIL import Image
from safetensors import SafetensorError
from transformers.utils import logging as transformers_log

from cmvc.errors import InvalidSettingError, MissingServiceError, MissingWeightsError, SemanticsError
from cmvc.media.rgb import Rgb
from cmvc_encoder.semantics.transformers import INSTALL

_log = logging.getLogger(__name__)
_loading = threading.Lock()


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
            raise SemanticsError(f"the model {self._name} failed: {_line(error)}") from error

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
    with _loading:
        return _load(model, *_place(device, dtype), download)


@lru_cache(maxsize=2)
def _load(model: str, device: torch.device, dtype: torch.dtype, download: bool) -> Pretrained:
    transformers_log.disable_progress_bar()
    transformers_log.set_verbosity_error()
    name, revision = _source(model)
    # No code from the hub, and no pickles: what is loaded is data.
    options = {"revision": revision, "local_files_only": not download, "trust_remote_code": False}
    config = _load_config(model, name, options)
    try:
        processor = _load_processor(name, config, options)
        loaded, info = transformers.AutoModelForImageTextToText.from_pretrained(
            name, dtype=dtype, device_map=device, use_safetensors=True, output_loading_info=True, **options
        )
    except torch.OutOfMemoryError as error:
        raise SemanticsError(
            f"the model {model} does not fit into the memory of {device}; take a smaller one"
        ) from error
    except ImportError as error:
        raise MissingServiceError(f"the model {model} needs more: {_line(error)} In a checkout: {INSTALL}") from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # a file is absent, damaged, or does not fit
        raise MissingWeightsError(_advice(model, name, revision, _line(error))) from error
    if info["missing_keys"]:
        lacking = sorted(info["missing_keys"])[0]
        raise MissingWeightsError(_advice(model, name, revision, f"{lacking} and perhaps others are missing"))
    template = processor.chat_template or processor.tokenizer.chat_template
    if not template:
        raise InvalidSettingError(f"the model {model} has no chat template; take one that follows instructions")
    return Pretrained(model, loaded.eval(), processor, template)


def _load_config(model: str, name: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - they have no types
    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        raise MissingWeightsError(_advice(model, name, "", "it has no config.json"))
    try:
        config = transformers.AutoConfig.from_pretrained(name, **options)
    except OSError as error:
        raise MissingWeightsError(_advice(model, name, options["revision"], _line(error))) from error
    except ValueError as error:  # unknown to this transformers, or code that would have to run
        raise InvalidSettingError(f"the model {model} cannot be loaded: {_line(error)}") from error
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise InvalidSettingError(f"{model} is of type '{config.model_type}', which does not talk about images")
    return config


def _load_processor(name: str, config: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401 - they have no types
    """Return the model's processor of text and images, set up for batches and a bounded number of vision tokens.

    ``AutoProcessor`` would also load a processor of videos, which needs torchvision; that slot stays empty here.
    """
    cls: Any = transformers.PROCESSOR_MAPPING[type(config)]

    class ImagesOnly(cls):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
            """Let slots be empty."""
            return type(None) if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    tokenizer.padding_side = "left"  # answers of a batch begin at one position
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    # The PIL processors need no torchvision, and give the same numbers on every machine.
    images = transformers.AutoImageProcessor.from_pretrained(name, backend="pil", **options)
    if getattr(images, "do_image_splitting", False):
        images.do_image_splitting = False  # SmolVLM cuts an image into 17, of 64 tokens each
    parts = {"image_processor": images, "tokenizer": tokenizer}
    found, _ = cls.get_processor_dict(name, **options)
    return ImagesOnly.from_args_and_dict([parts.get(each) for each in cls.get_attributes()], found)


def _source(model: str) -> tuple[str, str]:
    """Return what ``from_pretrained`` takes: folder or id, and revision.

    Raises:
        MissingWeightsError: it is written as a folder, and there is none.
    """
    if Path(model).is_dir():
        return model, "main"
    if model.startswith(("/", ".", "~")):
        raise MissingWeightsError(f"there is no folder {model}; give --model one that holds a model, or an ID@REVISION")
    name, _, revision = model.partition("@")
    if not revision:
        _log.warning("the model %s has no fixed revision; write %s@COMMIT for captions that stay the same", name, name)
    return name, revision or "main"


def _advice(model: str, name: str, revision: str, reason: str) -> str:
    if Path(name).is_dir():
        return f"the folder {name} is no whole model: {reason}; fetch it again, or give --model another one"
    return (
        f"the model {model} is not on this machine, or not whole: {reason}; "
        f"run: hf download {name} --revision {revision}, set download=yes, or give --model a folder that has it"
    )


def _place(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    gpu = torch.cuda.is_available()
    name = ("cuda" if gpu else "cpu") if device == "auto" else device
    try:
        place = torch.device(name)
    except RuntimeError:
        raise InvalidSettingError(f"device={name} is no device of torch; use cpu, cuda or cuda:NUMBER") from None
    if place.type == "cuda" and (not gpu or (place.index or 0) >= torch.cuda.device_count()):
        raise InvalidSettingError(
            f"device={name} is not here: torch sees {torch.cuda.device_count()} GPUs; use device=cpu"
        )
    usual = "float32" if place.type == "cpu" else "bfloat16"
    numbers: torch.dtype = getattr(torch, usual if dtype == "auto" else dtype)
    return place, numbers


def _line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0]
