"""Makes the modules beside this file importable from every test."""

import os

# Before torch is imported, here and in the processes that tests start: several processes with a thread for each core
# hold each other up, and sums in another order round differently.
os.environ.setdefault("OMP_NUM_THREADS", "1")
