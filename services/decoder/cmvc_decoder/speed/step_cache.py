"""Step cache: a denoising step in which the first block does nearly what it did before reuses what the others did.

The rule is that of First Block Cache: when the first block's change of its input differs from the one at the last full
computation by no more than ``threshold`` (mean absolute difference, relative), all later blocks are skipped and their
summed change is added again. Thresholds of 0.05 to 0.1 are usual. Frames change with it, so it is a setting of the
stream's profile table (``Settings.cache``) and not an option of the machine.

It is not diffusers' implementation, for three reasons. That one adds the hints of Wan VACE's control branch twice in a
skipped step, and computes the branch for nothing; here the first block is called ahead of the branch, which is skipped
too. It decides for a batch as a whole; here every video decides for itself, so that frames do not depend on what they
are batched with (time is saved where all agree). And its hooks sit within compiled blocks, which would be compiled
again for every run.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cmvc.errors import InvalidSettingError

_STACKS = ("blocks", "transformer_blocks")  # of Wan, of LTX-Video
_BRANCH = "vace_blocks"  # runs before the first block and yields a hint to be added after some of them


@contextmanager
def step_cached(denoiser: Any, threshold: float) -> Iterator[None]:
    """Let one run of a denoiser skip blocks; afterwards it is as it was, whatever happened.

    Args:
        denoiser: a transformer of diffusers, called within its ``cache_context``.
        threshold: 0 turns the cache off; see above.

    Raises:
        InvalidSettingError: the denoiser has no stack of blocks to skip (UNets have none).
    """
    if not threshold:
        yield
        return
    found = [getattr(denoiser, name) for name in _STACKS if hasattr(denoiser, name)]
    stack: nn.ModuleList = found[0] if found else nn.ModuleList()
    branch: nn.ModuleList = getattr(denoiser, _BRANCH, nn.ModuleList())
    if len(stack) < 2 or not hasattr(denoiser, "cache_context"):
        raise InvalidSettingError(f"{type(denoiser).__name__} has no blocks to skip; leave cache={threshold:g} out")
    blocks, hints, cache = list(stack), list(branch), _Cache(threshold)
    kinds = _First, *[_Later] * (len(blocks) - 2), _Last
    denoiser.cache_context = cache.kind
    _replace(stack, [kind(cache, block) for kind, block in zip(kinds, blocks, strict=True)])
    _replace(branch, [_Hint(cache, block, blocks[0], block is hints[-1]) for block in hints])
    try:
        yield
    finally:
        _replace(stack, blocks)
        _replace(branch, hints)
        del denoiser.cache_context


def _replace(blocks: nn.ModuleList, others: Sequence[nn.Module]) -> None:
    for index, other in enumerate(others):
        blocks[index] = other


@dataclass
class _Memory:
    """What calls of one kind (with the prompt, without it) leave for the next.

    Attributes:
        change: that the first block made at the last full computation.
        rest: that all others made together then.
        hint: the branch's last one then.
        reuse: for each video whether it uses these again now, (videos,).
        some, every: whether any, and whether all of them do.
        head: the first block's output now.
    """

    change: Any = None
    rest: Any = None
    hint: Any = None
    reuse: Any = None
    some: bool = False
    every: bool = False
    head: Any = None

    def begin(self, before: Any, after: Any, threshold: float) -> None:
        """Decide from the first block's input and output, (videos, tokens, channels)."""
        change = after - before
        self.head, self.some, self.every = after, False, False
        if self.change is not None:
            moved = (change - self.change).abs().mean(dim=(1, 2), dtype=torch.float32)
            self.reuse = moved <= threshold * self.change.abs().mean(dim=(1, 2), dtype=torch.float32)
            decisions = self.reuse.tolist()
            self.some, self.every = any(decisions), all(decisions)
        self.change = self.merged(change, self.change)

    def merged(self, new: Any, old: Any) -> Any:
        """Return ``old`` for the videos that reuse, ``new`` for the others."""
        return torch.where(self.reuse[:, None, None], old, new) if self.some else new


class _Cache:
    """The memories of one run."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._memories: dict[str, _Memory] = {}
        self._kind: str | None = None

    @contextmanager
    def kind(self, name: str, **_: Any) -> Iterator[None]:
        """Stand in for the denoiser's ``cache_context``: calls within are of the kind ``name``."""
        self._kind = name
        try:
            yield
        finally:
            self._kind = None

    @property
    def memory(self) -> _Memory:
        if self._kind is None:
            raise RuntimeError("the step cache needs calls within cache_context, to tell them apart")
        return self._memories.setdefault(self._kind, _Memory())


class _Stand(nn.Module):
    """Stands in for a block. It is called instead of it, so a compiled block stays as compiled."""

    def __init__(self, cache: _Cache, block: Callable[..., Any]) -> None:
        super().__init__()
        self.cache, self.block = cache, block


class _First(_Stand):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        memory = self.cache.memory
        if memory.head is None:  # a branch has not called it ahead
            memory.begin(_hidden(args, kwargs), self.block(*args, **kwargs), self.cache.threshold)
        return memory.head


class _Later(_Stand):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return _hidden(args, kwargs) if self.cache.memory.every else self.block(*args, **kwargs)


class _Last(_Stand):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        memory = self.cache.memory
        head, memory.head = memory.head, None
        if memory.every:
            return head + memory.rest
        made = self.block(*args, **kwargs)
        memory.rest = memory.merged(made - head, memory.rest)
        return memory.merged(made, head + memory.rest)


class _Hint(_Stand):
    """Stands in for a block of the branch."""

    def __init__(self, cache: _Cache, block: Callable[..., Any], first: Callable[..., Any], last: bool) -> None:
        super().__init__(cache, block)
        self.first, self.last = first, last

    def forward(self, hidden: Any, text: Any, control: Any, time: Any, positions: Any) -> tuple[Any, Any]:
        memory = self.cache.memory
        if memory.head is None:
            memory.begin(hidden, self.first(hidden, text, time, positions), self.cache.threshold)
        if memory.every:
            return memory.hint, control  # matters only after the last block: what it is added to before is replaced
        hint, control = self.block(hidden, text, control, time, positions)
        if self.last:
            hint = memory.hint = memory.merged(hint, memory.hint)
        return hint, control


def _hidden(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs["hidden_states"]
