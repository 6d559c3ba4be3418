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
MOST_TOGETHER = 32  # Redis works on the next part while one is answered; and answering holds the loop
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
    """A page watches the number before that is looked up, so that nothing falls between. Whether Redis knows it to be
    free is asked together with the limits; MongoDB is asked only for those that these let through."""

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
        watcher = question.caller.watcher
        if watcher is not None:
            watcher.charge_check()
        self._mobiles.require_asking(captcha_passed=question.captcha_passed)
        if watcher is not None:
            self._mobiles.watch(watcher, question.mobile)
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._begin)
        self._asked.append(question)

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), MOST_TOGETHER):
            self._tasks.start(self._answer(asked[start : start + MOST_TOGETHER]))

    async def _answer(self, asked: list[Question]) -> None:
        """Whatever happens, each is told something."""
        left = asked
        try:
            left = await self._answer_sure(asked)
            answers = await self._mobiles.told_all([one.mobile for one in left])
            for question, answer in zip(left, answers, strict=True):
                self._tell(question, answer)
            left = []
        except Exception as fault:
            for question in left:
                _log.error("question.failed", request_id=question.caller.request_id, exc_info=fault)
        finally:
            for question in left:
                self._tell(question, AppError("internal_error"))

    async def _answer_sure(self, asked: list[Question]) -> list[Question]:
        """Tell those that are refused and those whose number is free for sure; the others, which wait for MongoDB."""
        charges = [(one.caller.address, one.mobile, one.captcha_passed) for one in asked]
        free, refusals = await asyncio.gather(
            self._mobiles.surely_free([one.mobile for one in asked]),
            self._limits.charge_questions(charges, purpose="check"),
        )
        unsure = []
        for question, refusal in zip(asked, refusals, strict=True):
            if refusal or question.mobile in free:
                self._tell(question, refusal or True)
            else:
                unsure.append(question)
        return unsure

    def _tell(self, question: Question, answer: Answer | AppError) -> None:
        """What goes wrong with one page must not keep the others waiting."""
        watcher = question.caller.watcher
        if watcher is not None and isinstance(answer, AppError):
            self._mobiles.unwatch(watcher)
        try:
            question.done(answer)
        except Exception:
            _log.exception("question.not_told")
