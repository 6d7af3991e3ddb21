"""From the files of a model to what ``transformers`` makes of them. Needs torch, and so is imported late.

No code from the hub runs, and nothing is fetched unless that is asked for.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging as transformers_log

from cmvc.errors import InvalidSettingError, MissingWeightsError

P = ParamSpec("P")
T = TypeVar("T")
_KEPT = 2  # models in memory


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model: a folder, or one revision of an id in the local cache.

    Attributes:
        name: the folder, or the id.
        revision: of the id, "" for the newest.
        option: of the command line that names the model, for messages.
        download: whether an id that is not on this machine is fetched; None where no setting would have it fetched.
    """

    name: str
    revision: str
    option: str
    download: bool | None = None

    @property
    def is_folder(self) -> bool:
        """Whether they are a folder's."""
        return Path(self.name).is_dir()

    @property
    def arguments(self) -> dict[str, Any]:
        """What every ``from_pretrained`` is told besides the name."""
        return {
            "revision": self.revision or "main",
            "local_files_only": not self.download,
            "trust_remote_code": False,
        }

    def lacking(self, reason: str) -> MissingWeightsError:
        """Return the error that says what is wrong with the files and what to do."""
        if self.is_folder:
            advice = f"fetch it again, or give {self.option} another one"
            return MissingWeightsError(f"the folder {self.name} is no whole model: {reason}; {advice}")
        get = f"hf download {self.name}" + (f" --revision {self.revision}" if self.revision else "")
        setting = "" if self.download is None else " set download=yes,"
        return MissingWeightsError(
            f"the model {self.name} is not on this machine, or not whole: {reason}; "
            f"run: {get},{setting} or give {self.option} a folder that has it"
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what is wrong with the files into one line that says what to do; memory is another matter.

        Raises:
            MissingWeightsError: a file is absent, damaged, or does not fit the others.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise self.lacking(first_line(error)) from error


def find_files(model: str, option: str, *, download: bool | None = None) -> ModelFiles:
    """Return the files that ``model`` names: folder, or id as ``ID`` or ``ID@REVISION``.

    Raises:
        MissingWeightsError: it is written as a folder, and there is none.
    """
    if Path(model).is_dir():
        return ModelFiles(model, "", option, download)
    if model.startswith(("/", ".", "~")):
        advice = f"give {option} one that holds a model, or an ID@REVISION"
        raise MissingWeightsError(f"there is no folder {model}; {advice}")
    name, _, revision = model.partition("@")
    return ModelFiles(name, revision, option, download)


def load_config(files: ModelFiles) -> Any:  # noqa: ANN401 - the classes of configurations have no common type
    """Return the model's configuration.

    Raises:
        InvalidSettingError: it is of a kind that this ``transformers`` does not know, or wants to run code of its own.
        MissingWeightsError: it is absent or damaged.
    """
    transformers_log.disable_progress_bar()
    transformers_log.set_verbosity_error()  # it lists weights that are not needed as unexpected
    if files.is_folder and not (Path(files.name) / "config.json").is_file():
        raise files.lacking("it has no config.json")
    try:
        return transformers.AutoConfig.from_pretrained(files.name, **files.arguments)
    except OSError as error:
        raise files.lacking(first_line(error)) from error
    except ValueError as error:
        raise InvalidSettingError(f"the model {files.name} cannot be loaded: {first_line(error)}") from error


def load_weights(files: ModelFiles, cls: Any, **options: object) -> Any:  # noqa: ANN401 - models have no common type
    """Return the model, ready to be asked.

    Args:
        files: to load.
        cls: of ``transformers``.
        options: for its ``from_pretrained``.

    Raises:
        MissingWeightsError: weights are absent or damaged; ``transformers`` would go on with random ones.
    """
    with files.told():
        model, found = cls.from_pretrained(files.name, output_loading_info=True, **files.arguments, **options)
    if found["missing_keys"]:
        raise files.lacking(f"its weights lack {min(found['missing_keys'])}")
    return model.eval()


def load_images(files: ModelFiles) -> Any:  # noqa: ANN401 - image processors have no common type
    """Return the model's image processor, of PIL: it needs no torchvision, and gives the same numbers everywhere.

    Raises:
        MissingWeightsError: its settings are absent or damaged.
    """
    with files.told():
        return transformers.AutoImageProcessor.from_pretrained(files.name, backend="pil", **files.arguments)


def shared(load: Callable[P, T]) -> Callable[P, T]:
    """Return ``load`` such that threads wait for each other and share what it returns for the same arguments."""
    kept = lru_cache(maxsize=_KEPT)(load)
    loading = threading.Lock()

    @wraps(load)
    def one_at_a_time(*args: P.args, **kwargs: P.kwargs) -> T:
        with loading:
            return kept(*args, **kwargs)  # type: ignore[arg-type]  # names and numbers, which can be hashed

    return one_at_a_time


def place(device: str, dtype: str, on_gpu: str) -> tuple[torch.device, torch.dtype]:
    """Return where a model runs and its number format.

    Args:
        device: of torch; ``auto`` for a GPU where there is one.
        dtype: name of torch's; ``auto`` for ``float32`` on a CPU and ``on_gpu`` elsewhere.
        on_gpu: see ``dtype``.

    Raises:
        InvalidSettingError: there is no such device.
    """
    gpu = torch.cuda.is_available()
    name = ("cuda" if gpu else "cpu") if device == "auto" else device
    try:
        found = torch.device(name)
    except RuntimeError:
        raise InvalidSettingError(f"device={name} is no device of torch; use cpu, cuda or cuda:NUMBER") from None
    if found.type == "cuda" and (not gpu or (found.index or 0) >= torch.cuda.device_count()):
        raise InvalidSettingError(
            f"device={name} is not here: torch sees {torch.cuda.device_count()} GPUs; use device=cpu"
        )
    usual = "float32" if found.type == "cpu" else on_gpu
    numbers: torch.dtype = getattr(torch, usual if dtype == "auto" else dtype)
    return found, numbers


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0]
