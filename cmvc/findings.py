"""What ``cmvc doctor`` finds out about a machine. Services add what they know (see ``cmvc.services``)."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How something that CMVC can use is."""

    OK = "ok"
    ABSENT = "absent"  # not here; what it is for does not work, all else does
    FAULT = "fault"  # here, or asked for, and does not work


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        name: what was looked at.
        health: how it is.
        found: in words.
        advice: what to do about it, or what to use; "" for nothing.
    """

    name: str
    health: Health
    found: str
    advice: str = ""
