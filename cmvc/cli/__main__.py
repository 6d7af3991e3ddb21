"""``python -m cmvc.cli``."""

from cmvc.cli import main

main()
