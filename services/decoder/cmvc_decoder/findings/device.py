"""What runs models here: torch's build, the GPUs, the kernels for attention."""

import shutil
import subprocess
import warnings
from collections.abc import Iterator

import diffusers
import torch

from cmvc.findings import Finding, Health
from cmvc_decoder.findings.weights import GIB, Room
from cmvc_decoder.speed.attention import working_backends
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import read_speed

_DRIVER = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def examine_torch() -> Iterator[Finding]:
    """Yield what is said of torch, of each GPU, and of attention."""
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    yield Finding("torch", Health.OK, f"{torch.__version__} ({build}), diffusers {diffusers.__version__}")
    driver = _driver()
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            yield _gpu(number, driver)
    else:
        yield _no_gpu(driver)
    yield _attention()


def gpu_room() -> Room:
    """Return the memory of the GPU that a decoder would use."""
    if not torch.cuda.is_available():
        return Room()
    free, total = torch.cuda.mem_get_info()
    return Room(total / GIB, free / GIB)


def _driver() -> str:
    """Return the version of NVIDIA's driver, "" where there is none."""
    if not shutil.which(_DRIVER[0]):
        return ""
    asked = subprocess.run(_DRIVER, capture_output=True, text=True, check=False)
    return asked.stdout.split("\n", 1)[0].strip() if asked.returncode == 0 else ""


def _gpu(number: int, driver: str) -> Finding:
    facts = torch.cuda.get_device_properties(number)
    free, total = (size / GIB for size in torch.cuda.mem_get_info(number))
    found = (
        f"{facts.name}, {total:.0f} GiB of memory, {free:.0f} free, compute capability {facts.major}.{facts.minor}, "
        f"driver {driver or 'unknown'}"
    )
    if facts.major < 8:
        advice = "it has no bfloat16 of its own: run decoders with --speed dtype=float16"
        return Finding(f"GPU {number}", Health.OK, found, advice)
    return Finding(f"GPU {number}", Health.OK, found)


def _no_gpu(driver: str) -> Finding:
    if driver and not torch.version.cuda:
        advice = "torch was built for CPUs: install its build for CUDA from the index of pytorch.org"
        return Finding("GPU", Health.FAULT, f"NVIDIA driver {driver}, which this torch cannot use", advice)
    if driver:
        advice = "check that the driver is new enough for this torch, and CUDA_VISIBLE_DEVICES"
        return Finding("GPU", Health.FAULT, f"NVIDIA driver {driver}, but torch sees no device", advice)
    advice = "profiles with models would take hours on a CPU: use a machine with one, or the profile embedded"
    return Finding("GPU", Health.ABSENT, "no NVIDIA driver", advice)


def _attention() -> Finding:
    speed = on_this_machine(read_speed(()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some say that they would be faster compiled
        names = working_backends(speed.dtype, speed.device)
    advice = "choose another than torch's own with --speed attention=NAME (docs/speed.md)"
    return Finding("attention", Health.OK, f"{', '.join(names)} work in {speed.dtype} on {speed.device}", advice)
