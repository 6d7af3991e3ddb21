"""A second stream of a CUDA device, so that decoding latents does not stand in line behind the denoising of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class SideStream:
    """A stream beside the one that a device uses otherwise; where a device has no streams, nothing."""

    def __init__(self, device: str) -> None:
        """Open it on a device of torch, such as ``cuda:1``."""
        cuda: Any = torch.cuda  # its types are not all said
        self._stream = cuda.Stream(device) if torch.device(device).type == "cuda" else None

    def mark(self) -> Any:
        """Return the point up to which this thread has given its usual stream work."""
        return torch.cuda.current_stream(self._stream.device).record_event() if self._stream else None

    @contextmanager
    def after(self, mark: Any) -> Iterator[None]:
        """Have the block's work done in this stream, once all before ``mark`` is; all of it is done when it ends.

        So what the block was given, of the other stream's memory, may be let go then.
        """
        if not self._stream:
            yield
            return
        self._stream.wait_event(mark)
        with torch.cuda.stream(self._stream):
            try:
                yield
            finally:
                self._stream.synchronize()
