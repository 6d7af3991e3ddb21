"""What a caller may do: the scopes of tokens and of clients' certificates, and which method asks for which."""

from cmvc.errors import InvalidSettingError

SCOPES = ("encode", "decode")
ALL = frozenset(SCOPES)
_OF_SERVICES = {"/cmvc.v1.VideoEncoder/": "encode", "/cmvc.v1.VideoDecoder/": "decode"}


def scope_of(method: str) -> str:
    """Return the scope that a method such as ``/cmvc.v1.VideoDecoder/Decode`` asks for; "" where any will do."""
    return _OF_SERVICES.get(method[: method.rfind("/") + 1], "")


def read_scopes(text: str, whose: str) -> frozenset[str]:
    """Return the scopes in ``text``, with commas between them; all of them where it has none.

    Args:
        text: such as ``encode,decode``.
        whose: they are, for the message.

    Raises:
        InvalidSettingError: one is unknown.
    """
    given = frozenset(text.split(",")) if text else ALL
    if not given <= ALL:
        raise InvalidSettingError(f"{whose} has an unknown scope, '{min(given - ALL)}'; there are {', '.join(SCOPES)}")
    return given


def read_name(text: str) -> tuple[str, frozenset[str]]:
    """Return the name and the scopes of ``NAME[=SCOPE,SCOPE]``.

    Raises:
        InvalidSettingError: it is not of that form.
    """
    name, _, scopes = text.partition("=")
    if not name:
        raise InvalidSettingError(f"'{text}' is not NAME[=SCOPE,...]; write such as gateway, or uploader=encode")
    return name, read_scopes(scopes, name)
