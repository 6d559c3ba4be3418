"""Is this number free? Everybody asks at each keystroke that completes one, so all that is asked in one turn of the
loop is answered together: one call for the limits, one for the numbers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from server.caller import Caller
from server.clock import Clock
from server.errors import AppError
from server.logs import get_log
from server.services.limits import LimitService
from server.services.mobiles import MobileService
from server.tasks import Tasks

_log = get_log(__name__)
Answer = bool | None
Done = Callable[[Answer | AppError], None]


@dataclass(slots=True, eq=False)
class Question:
    """`done` hears True (free), False, None (nobody can or may say), or why it is not answered; it never raises."""

    caller: Caller
    mobile: str
    captcha_passed: bool
    done: Done


class QuestionService:
    """Each is charged before it is answered, and its page watches the number before it is read."""

    def __init__(self, *, mobiles: MobileService, limits: LimitService, clock: Clock) -> None:
        self._mobiles = mobiles
        self._limits = limits
        self._tasks = Tasks(clock)
        self._asked: list[Question] = []

    async def aclose(self) -> None:
        """Answer no more."""
        await self._tasks.aclose()

    async def answer(self, caller: Caller, mobile: str, *, captcha_passed: bool) -> Answer:
        """For those who have the time to wait; AppError."""
        future: asyncio.Future[Answer | AppError] = asyncio.get_running_loop().create_future()

        def done(answer: Answer | AppError) -> None:
            if not future.done():
                future.set_result(answer)

        self.ask(Question(caller, mobile, captcha_passed, done))
        answer = await future
        if isinstance(answer, AppError):
            raise answer
        return answer

    def ask(self, question: Question) -> None:
        """Answer it with all others of this turn; AppError if it is refused at once."""
        if question.caller.watcher is not None:
            question.caller.watcher.charge_check()
        self._mobiles.require_asking(captcha_passed=question.captcha_passed)
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._begin)
        self._asked.append(question)

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        self._tasks.start(self._answer(asked))

    async def _answer(self, asked: list[Question]) -> None:
        """Whatever happens, each is told something."""
        answers: list[Answer | AppError] = [AppError("internal_error")] * len(asked)
        try:
            refusals = await self._charge(asked)
            answers = await self._look_up(asked, refusals)
        finally:
            for question, answer in zip(asked, answers, strict=True):
                _tell(question, answer)

    async def _charge(self, asked: list[Question]) -> list[AppError | None]:
        charges = [(one.caller.address, one.mobile, one.captcha_passed) for one in asked]
        return await self._limits.charge_questions(charges, purpose="check")

    async def _look_up(self, asked: list[Question], refusals: list[AppError | None]) -> list[Answer | AppError]:
        allowed = [one for one, refusal in zip(asked, refusals, strict=True) if refusal is None]
        for question in allowed:
            if question.caller.watcher is not None:
                self._mobiles.watch(question.caller.watcher, question.mobile)
        answers = iter(await self._mobiles.told_all([one.mobile for one in allowed]))
        return [next(answers) if refusal is None else refusal for refusal in refusals]


def _tell(question: Question, answer: Answer | AppError) -> None:
    """What goes wrong with one page must not keep the others waiting."""
    try:
        question.done(answer)
    except Exception:
        _log.exception("question.not_told")
