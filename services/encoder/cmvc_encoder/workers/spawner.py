"""The process that workers are forked from."""

from cmvc.processes.spawner import Spawner

SPAWNER = Spawner("cmvc_encoder.workers.task:serve")
"""That of this process."""
