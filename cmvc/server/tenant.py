"""Whose call is being handled."""

from contextvars import ContextVar

_TENANT: ContextVar[str] = ContextVar("tenant", default="")


def tenant() -> str:
    """Return a short name for whoever made the call that is being handled; "" where nothing tells callers apart.

    It is a hash of the token, where the server accepted one, else of the name in the client's certificate, where it
    verified one.
    """
    return _TENANT.get()


def note_tenant(name: str) -> None:
    """Say whose call the current task handles."""
    _TENANT.set(name)
