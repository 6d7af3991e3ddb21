"""Whose weights are here, and whether they fit."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmvc.errors import MissingWeightsError
from cmvc.findings import Finding, Health
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc_decoder.weights.store import ModelStore, State

GIB = 2**30
_GB = 1e9


@dataclass(frozen=True)
class Room:
    """Memory of a GPU in GiB; 0 where there is none."""

    total: float = 0.0
    free: float = 0.0


def examine_weights(store: ModelStore, room: Room) -> Iterator[Finding]:
    """Yield one line for each profile with a model."""
    for facts in MODEL_PROFILES.values():
        try:
            states = _states(facts, store)
        except MissingWeightsError as error:
            yield Finding(facts.id, Health.FAULT, "its manifest cannot be read", str(error))
            continue
        broken = {name: state for name, state in states.items() if state is not State.READY}
        if not broken:
            yield _ready(facts, room)
        elif set(broken.values()) == {State.MISSING} == set(states.values()):
            yield _missing(facts, store)
        else:
            said = ", ".join(f"{name}: {state}" for name, state in broken.items())
            advice = f"cmvc models pull {facts.id} goes on where it stopped"
            yield Finding(facts.id, Health.FAULT, f"weights are not whole ({said})", advice)


def _states(facts: ModelProfile, store: ModelStore) -> dict[str, State]:
    pulled = {each.name: store.state(facts.id, each) for each in facts.chosen(optional=False)}
    return pulled | {name: store.made_state(facts, name) for name in facts.made}


def _ready(facts: ModelProfile, room: Room) -> Finding:
    needs = f"weights are here; it takes about {facts.vram_gib} GiB"
    if not room.total:
        return Finding(facts.id, Health.OK, f"{needs}; on a CPU it runs, slowly", "see the line on the GPU")
    if facts.vram_gib > room.total:
        advice = "run it with --speed offload=group --speed tiling=on (docs/speed.md)"
        return Finding(facts.id, Health.OK, f"{needs}, more than the GPU's {room.total:.0f}", advice)
    if facts.vram_gib > room.free:
        advice = "something else holds the GPU's memory; look with nvidia-smi"
        return Finding(facts.id, Health.OK, f"{needs}, of which only {room.free:.0f} are free", advice)
    return Finding(facts.id, Health.OK, f"{needs} of the GPU's {room.total:.0f}")


def _missing(facts: ModelProfile, store: ModelStore) -> Finding:
    size = sum(each.size for each in facts.chosen(optional=False)) / _GB
    free = shutil.disk_usage(_existing(store.root)).free / _GB
    room = f"{size:.0f} GB to download, {free:.0f} GB are free below {store.root}"
    advice = f"cmvc models pull {facts.id} ({room})"
    return Finding(facts.id, Health.ABSENT, "its weights are not here", advice)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
