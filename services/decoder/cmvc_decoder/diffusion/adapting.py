"""Adapters (LoRA) in a denoiser: loaded when first asked for, switched from run to run, a few of them kept."""

import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from cmvc.errors import AdapterMismatchError, MissingWeightsError
from cmvc_decoder.speed.compile import recompile
from cmvc_decoder.weights.adapters import WEIGHTS, Adapter, Layout, adapter_folder, verify_adapter

MOST_LOADED = 4  # in one denoiser; each is some megabytes beside the model's gigabytes


class Adapters:
    """The adapters of one denoiser. Its own weights are never changed, so that without one it is as it was."""

    def __init__(self, denoiser: Any, part: str) -> None:
        """Begin with none.

        Args:
            denoiser: a model of diffusers that takes adapters, without one.
            part: what it is called in a pipeline, such as ``transformer``.
        """
        self._denoiser = denoiser
        self._part = part
        self._names: list[str] = []  # of what is loaded, as the denoiser knows them; last used last

    @property
    def loaded(self) -> int:
        """How many are loaded."""
        return len(self._names)

    def use(self, adapter: Adapter | None, profile_folder: Path) -> None:
        """Have the next runs made with ``adapter``, or with none.

        Args:
            adapter: one that is installed.
            profile_folder: ``<store>/<profile id>``.

        Raises:
            AdapterMismatchError: its file has changed, or it does not fit this denoiser.
            MissingWeightsError: its file is not there, or cannot be read.
        """
        if adapter is None:
            if self._names:
                self._denoiser.disable_lora()
            return
        name = f"sha256-{adapter.sha256}"  # the file and nothing else: one of the same name may be installed meanwhile
        if name in self._names:
            self._names.remove(name)
        else:
            self._load(name, adapter, adapter_folder(profile_folder, adapter.name))
        self._names.append(name)
        self._denoiser.set_adapters(name)
        self._denoiser.enable_lora()

    def _load(self, name: str, adapter: Adapter, folder: Path) -> None:
        layout = verify_adapter(folder, adapter)
        _check_fit(self._denoiser, self._part, adapter, layout)
        try:
            weights = load_file(folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise MissingWeightsError(f"{folder / WEIGHTS} cannot be read: {error}; install it again") from error
        if len(self._names) == MOST_LOADED:
            self._denoiser.delete_adapters(self._names.pop(0))
        facts = {"r": layout.rank, "lora_alpha": layout.alpha, "target_modules": list(layout.modules)}
        metadata = {f"{self._part}.{fact}": value for fact, value in facts.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several is what is wanted
            self._denoiser.load_lora_adapter(weights, prefix=self._part, adapter_name=name, metadata=metadata)
        # Groups list the weights that they carry to the GPU; diffusers lists them anew for pipelines and when adapters
        # go, but not for one that a model loads.
        self._denoiser.delete_adapters([])
        recompile(self._denoiser)


def _check_fit(denoiser: Any, part: str, adapter: Adapter, layout: Layout) -> None:
    """Make sure that each matrix has its place: diffusers passes over those that have none."""
    if layout.part != part:
        raise AdapterMismatchError(
            f"the adapter {adapter.label} changes the {layout.part}, {adapter.profile} has a {part}; it was made for "
            f"another model ({adapter.base})"
        )
    modules = dict(denoiser.named_modules())
    for name, (a, b) in layout.modules.items():
        module = modules.get(name)
        base = getattr(module, "base_layer", module)
        weight = getattr(base, "weight", None)
        if weight is None or (b[0], a[1]) != tuple(weight.shape[:2]):
            raise AdapterMismatchError(
                f"the adapter {adapter.label} does not fit the model of {adapter.profile}, which has no {name} of "
                f"{b[0]}x{a[1]}; it was made for another one ({adapter.base})"
            )
