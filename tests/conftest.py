"""Makes the modules beside this file importable from every test, and says what may run side by side."""

import os

import pytest
from hypothesis import HealthCheck, settings

from cmvc.process import prepare

# Before torch is imported, here and in the processes that tests start: several processes with a thread for each core
# hold each other up, and sums in another order round differently.
os.environ["OMP_NUM_THREADS"] = "1"

# As the command does: else gRPC's core writes of broken connections in the middle of what a test captures.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# As whatever runs encodes does; SVT-AV1 looks at its environment once, at the first of them.
prepare()

# A busy machine is no defect: how long an example takes decides nothing.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep what a file's tests share in one process, where no wider group is named.

    Those of a real Triton are one group: two of its servers that start at once on a machine can break each other's
    shared memory.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
