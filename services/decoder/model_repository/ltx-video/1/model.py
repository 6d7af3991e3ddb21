"""A profile in Triton: its folder's name says which. All that it does is in ``cmvc_decoder.triton.skin``."""

from typing import Any

from cmvc_decoder.triton.skin import Skin


class TritonPythonModel:
    """What Triton's python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the profile that the model is named after."""
        self._skin = Skin(args)

    def execute(self, requests: list[Any]) -> None:
        """Answer requests; responses go out one by one."""
        self._skin.execute(requests)
