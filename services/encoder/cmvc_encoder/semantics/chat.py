"""Asks an OpenAI-compatible server for chat completions about images."""

import json
import re
import weakref
from base64 import b64encode
from http.cookiejar import CookieJar, DefaultCookiePolicy
from io import BytesIO
from typing import Any

import httpx2
import openai
from PIL import Image

from cmvc.errors import SemanticsError
from cmvc.media.rgb import Rgb
from cmvc_encoder.semantics.endpoint import Endpoint
from cmvc_encoder.semantics.mllm import Question
from cmvc_encoder.semantics.request_guard import RequestGuard, limit_of, too_late

_JPEG_QUALITY = 85  # of the images sent; a model sees no difference
_LONGEST_QUOTE = 200  # characters of what a server says
_NO_KEY = "none"  # sent where no key was given; the servers that ask for none ignore it
_DATA = re.compile(r"[A-Za-z0-9+/=_-]{80,}")  # base64, such as that of an image given back
_HINTS = {
    400: "check that the model takes images, and so many at once",
    401: "give the key that it takes with --api-key-file",
    403: "give a key that may use the model with --api-key-file",
    404: "check the model's name, and the endpoint, which mostly ends in /v1",
    413: "lower image_side",
    429: "set requests_per_minute, or lower parallel",
}


class ChatClient:
    """Asks one model. Keys and images are never logged, nor are they in messages of errors."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        *,
        timeout_s: float,
        retries: int,
        requests_per_minute: int,
        image_side: int,
    ) -> None:
        """Get ready to ask; nothing is sent yet.

        Args:
            endpoint: where the model is.
            model: its name there.
            timeout_s: seconds for a question, with its retries.
            retries: after failures that may pass: no connection, 408, 409, 429 and 5xx.
            requests_per_minute: of all clients in this process to this endpoint; 0 for no limit.
            image_side: pixels of the longest side of the images sent.
        """
        self._model = model
        self._url = endpoint.url
        self._key = endpoint.key
        self._timeout_s = timeout_s
        self._image_side = image_side
        key = endpoint.key or _NO_KEY
        self._guard = RequestGuard(
            endpoint.url,
            key,
            limit_of(endpoint.url),
            timeout_s=timeout_s,
            requests_per_minute=requests_per_minute,
        )
        http = openai.DefaultHttpxClient(
            event_hooks={"request": [self._guard.on_request], "response": [self._guard.on_response]},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # takes none
            follow_redirects=False,  # images and key are for the server that was named
            mounts={f"all://{endpoint.host}": None} if endpoint.is_near else None,  # None: past any proxy
        )
        self._client = openai.OpenAI(api_key=key, base_url=endpoint.url, max_retries=retries, http_client=http)
        weakref.finalize(self, http.close).atexit = False  # a daemon thread may still be asking

    def answer(self, question: Question) -> str:
        """Return the model's answer. May be called from several threads at once.

        Raises:
            SemanticsError: there is none.
        """
        content = [{"type": "image_url", "image_url": {"url": self._as_url(each)}} for each in question.images]
        message: Any = {"role": "user", "content": [*content, {"type": "text", "text": question.prompt}]}
        self._guard.start()
        try:
            # The raw response: the SDK does not check that a body is what it should be.
            response = self._client.chat.completions.with_raw_response.create(
                model=self._model,
                messages=[message],
                max_tokens=question.max_tokens,  # not max_completion_tokens, which not all servers know
                temperature=0,
                seed=0,
                n=1,
            )
        # From None: what the SDK says may hold what the server said, and that the key.
        except openai.APITimeoutError as error:
            connected = not isinstance(error.__cause__, httpx2.ConnectTimeout)
            why = too_late(self._url, self._timeout_s) if connected else self._no_connection("it does not respond")
            raise SemanticsError(why) from None
        except openai.APIConnectionError as error:
            raise SemanticsError(self._no_connection(str(error.__cause__))) from None
        except openai.APIStatusError as error:
            raise SemanticsError(self._refusal(error)) from None
        return self._text_of(response.http_response.content, question.max_tokens)

    def _as_url(self, image: Rgb) -> str:
        """Return an image as a ``data:`` URL, shrunk to ``image_side``."""
        picture = Image.fromarray(image)
        picture.thumbnail((self._image_side, self._image_side), Image.Resampling.LANCZOS)
        jpeg = BytesIO()
        picture.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
        return "data:image/jpeg;base64," + b64encode(jpeg.getvalue()).decode("ascii")

    def _text_of(self, body: bytes, max_tokens: int) -> str:
        """Return the answer in a response's body; one that was cut at its last token is an answer too."""
        try:
            choice = json.loads(body)["choices"][0]
            text = choice["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise SemanticsError(
                f"{self._url} sent something that is no answer; is it the base URL of an OpenAI-compatible server?"
            ) from None
        if not isinstance(text, str) or not (text or choice.get("finish_reason") != "length"):
            raise SemanticsError(
                f"the model '{self._model}' at {self._url} said nothing in {max_tokens} tokens; "
                "take a model that answers without thinking first"
            )
        return text.encode("utf-8", "replace").decode("utf-8")  # JSON can hold half of a surrogate pair

    def _no_connection(self, why: str) -> str:
        return (
            f"cannot reach {self._url}: {self._quoted(why).rstrip('.')}; start the server there or correct the endpoint"
        )

    def _refusal(self, error: openai.APIStatusError) -> str:
        status = error.status_code
        said = ""
        if status not in {401, 403} and isinstance(error.body, dict):  # those may quote half the key
            said = self._quoted(str(error.body.get("message") or error.body.get("detail") or ""))
        if 300 <= status < 400:
            hint = "give the address that it redirects to"
        else:
            hint = _HINTS.get(status, "see its log, and try again later" if status >= 500 else "see its log")
        return f"{self._url} answered {status}{f' ({said})' if said else ''}; {hint}"

    def _quoted(self, text: str) -> str:
        """Return what a server says as one short line without key and images."""
        plain = _DATA.sub("...", text.replace(self._key, "[key]") if self._key else text)
        return " ".join("".join(c if c.isprintable() else " " for c in plain).split())[:_LONGEST_QUOTE]
