"""Several segments asked of one generator at once."""

from contextlib import closing

from cmvc.ahead import merged
from cmvc.errors import CmvcError


def together(generator, works):
    """Yield the items of works (conditions and control) as they come, each with its work's number; errors come last."""

    def items(conditions, control):
        try:
            yield from generator.generate(conditions, control)
        except CmvcError as error:
            yield error

    with closing(merged([items(*work) for work in works], 8)) as found:
        yield from found
