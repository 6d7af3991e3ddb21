"""A multimodal LLM behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama or a provider."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from cmvc.errors import InvalidSettingError, MissingServiceError
from cmvc_encoder.semantics.endpoint import read_endpoint
from cmvc_encoder.semantics.mllm import Question


@dataclass(frozen=True)
class _Number:
    """A setting that is a number between two bounds."""

    default: float
    least: float
    most: float
    is_whole: bool = True

    def read(self, name: str, text: str) -> float:
        try:
            value = int(text) if self.is_whole else float(text)
        except ValueError:
            value = -1  # under the least of every setting
        if not self.least <= value <= self.most:
            kind = "a whole number" if self.is_whole else "a number"
            raise InvalidSettingError(
                f"{name}={text[:40]} does not do; {name} is {kind} from {self.least:g} to {self.most:g}"
            )
        return value


SETTINGS = {
    "timeout_s": _Number(30, 0.1, 3600, is_whole=False),  # for a question with its retries
    "retries": _Number(3, 0, 10),  # after a failure that may pass
    "requests_per_minute": _Number(0, 0, 60_000),  # by this process to this endpoint; 0 for no limit
    "parallel": _Number(4, 1, 64),  # questions at once, of one stream
    "image_side": _Number(512, 32, 4096),  # pixels; longest side of the images sent
}


class OpenAiMllm:
    """Asks a model by chat completions."""

    def __init__(self, endpoint: str, model: str, key_file: Path | None, settings: dict[str, str]) -> None:
        """Get ready to ask; nothing is sent yet.

        Args:
            endpoint: base URL such as ``http://127.0.0.1:8000/v1``.
            model: its name there.
            key_file: file that holds the key; None where the server asks for none.
            settings: some of ``SETTINGS``, as text.

        Raises:
            InvalidSettingError: one of these does not do.
            MissingServiceError: the libraries for it are not installed.
        """
        numbers = _read_settings(settings)
        where = read_endpoint(endpoint, key_file)
        try:
            from cmvc_encoder.semantics.chat import ChatClient  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            raise MissingServiceError(
                f"the semantic extractor openai needs {missing.name}, which is not installed; in a checkout run: "
                "pip install -c constraints.txt '.[cli]' './services/encoder[openai]'"
            ) from None
        self._parallel = int(numbers["parallel"])
        self._client = ChatClient(
            where,
            model,
            timeout_s=numbers["timeout_s"],
            retries=int(numbers["retries"]),
            requests_per_minute=int(numbers["requests_per_minute"]),
            image_side=int(numbers["image_side"]),
        )

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """Ask all questions, ``parallel`` at once; see ``Mllm``.

        Raises:
            SemanticsError: one was not answered; those not sent by then are not asked.
        """
        answers: list[Future[str]] = [Future() for _ in questions]
        left = deque(zip(questions, answers, strict=True))
        for _ in range(min(self._parallel, len(questions))):
            # Daemons, unlike those of an executor: a server that hangs does not keep the process from ending.
            Thread(target=self._answer, args=(left,), name="openai", daemon=True).start()
        wait(answers, return_when=FIRST_EXCEPTION)
        failed = next((each for each in answers if each.done() and each.exception()), None)
        return [failed.result()] if failed else [each.result() for each in answers]

    def _answer(self, left: "deque[tuple[Question, Future[str]]]") -> None:
        """Answer questions until none is left; after a failure none is."""
        while left:
            try:
                question, answer = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                answer.set_result(self._client.answer(question))
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits, whatever it is
                left.clear()
                answer.set_exception(error)


def _read_settings(settings: dict[str, str]) -> dict[str, float]:
    for name in settings:
        if name not in SETTINGS:
            raise InvalidSettingError(f"the extractor openai has no setting '{name}'; known: {', '.join(SETTINGS)}")
    return {
        name: number.read(name, settings[name]) if name in settings else number.default
        for name, number in SETTINGS.items()
    }
