"""System shared memory between a decoder and a Triton server on the same host."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import tritonclient.utils.shared_memory as regions
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import Region, open_client
from cmvc_decoder.triton.wire import read_error

MOST_BYTES = 256 << 20  # of one region; longer segments travel in the responses


@contextmanager
def shared_region(address: Address, frames: int, frame_bytes: int) -> Iterator[tuple[Region, NDArray[np.uint8]]]:
    """Yield a region that Triton knows and its contents, (frames, bytes); both are gone after the block.

    CUDA shared memory would gain nothing: frames are wanted on the CPU, where H.264 encoding runs.

    Args:
        address: of Triton, on this host.
        frames: how many it is for.
        frame_bytes: of each.

    Raises:
        CmvcError: Triton cannot be reached, or does not see this host's shared memory.
        OSError: there is no room for it.
    """
    size = frames * frame_bytes
    name = f"cmvc-{uuid.uuid4()}"
    handle = regions.create_shared_memory_region(name, f"/{name}", size)
    try:
        _allocate(Path("/dev/shm") / name, size)
        client, headers = open_client(address), address.headers()
        try:
            client.register_system_shared_memory(name, f"/{name}", size, headers=headers)
            yield Region(name, size), regions.get_contents_as_numpy(handle, np.uint8, [frames, frame_bytes])
        except InferenceServerException as error:
            raise read_error(error.message(), address.target) from None
        finally:
            with suppress(InferenceServerException):
                client.unregister_system_shared_memory(name, headers=headers)
            client.close()
    finally:
        regions.destroy_shared_memory_region(handle)


def _allocate(path: Path, size: int) -> None:
    """Take the memory now: a page that is missing when Triton writes to it would end the whole server (SIGBUS)."""
    region = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(region, 0, size)
    finally:
        os.close(region)
