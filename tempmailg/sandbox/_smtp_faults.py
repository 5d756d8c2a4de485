"""What can go wrong while mail is sent, as values: refusals, greylisting, lost connections, late mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias, get_args

from attrs import asdict, field, frozen

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._checks import must_be
from tempmailg.sandbox._script import FaultScript, fault_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Greylist",
    "LateDelivery",
    "SmtpDelay",
    "SmtpDisconnect",
    "SmtpFault",
    "SmtpFaults",
    "SmtpReply",
    "SmtpStage",
    "smtp_fault_from_json",
    "smtp_fault_to_json",
]

SmtpStage: TypeAlias = Literal["connect", "auth", "mail", "rcpt", "data"]
"""Where in a session: the greeting, AUTH, MAIL, each RCPT, or the mail itself (DATA or BDAT)."""

_STAGES: Final = get_args(SmtpStage)
_CODE: Final = must_be("a reply code of 400 to 599", lambda value: type(value) is int and 400 <= value <= 599)
_LINE: Final = must_be(
    "one line of visible text", lambda value: isinstance(value, str) and value.isprintable() and bool(value.strip())
)
_SECONDS: Final = must_be(
    "a finite number of seconds that is not negative",
    lambda value: type(value) in (int, float) and 0 <= value < float("inf"),
)
_BYTES: Final = must_be("a number of bytes that is not negative", lambda value: type(value) is int and value >= 0)


class SmtpFault:
    """Base of the faults; each is a value that can stand in a script more than once."""

    kind: ClassVar[str] = ""
    stages: ClassVar[tuple[SmtpStage, ...]] = ()


@frozen
class SmtpReply(SmtpFault):
    """A refusal instead of the honest answer; what was asked is not done.

    Args:
        code: The reply code: 4xx asks the client to try again later, 5xx to give up.
        text: What stands behind it.
    """

    kind: ClassVar[str] = "smtp_reply"
    stages: ClassVar[tuple[SmtpStage, ...]] = ("connect", "auth", "mail", "rcpt", "data")
    code: int = field(default=451, validator=_CODE)
    text: str = field(default="A scripted fault of the sandbox", validator=_LINE)


@frozen
class SmtpDisconnect(SmtpFault):
    """A connection that ends without an answer.

    Args:
        after: Bytes of the mail that are read before, where the stage is ``data``.
    """

    kind: ClassVar[str] = "smtp_disconnect"
    stages: ClassVar[tuple[SmtpStage, ...]] = ("connect", "auth", "mail", "rcpt", "data")
    after: int = field(default=0, validator=_BYTES)


@frozen
class SmtpDelay(SmtpFault):
    """The honest answer, late.

    Args:
        seconds: How late, in seconds of the sandbox's clock.
    """

    kind: ClassVar[str] = "smtp_delay"
    stages: ClassVar[tuple[SmtpStage, ...]] = ("auth", "mail", "rcpt", "data")
    seconds: float = field(default=1.0, validator=_SECONDS)


@frozen
class Greylist(SmtpFault):
    """450 for a sender and recipient, until the client tries again after a while.

    Args:
        seconds: For how long they are refused, in seconds of the sandbox's clock.
    """

    kind: ClassVar[str] = "greylist"
    stages: ClassVar[tuple[SmtpStage, ...]] = ("rcpt",)
    seconds: float = field(default=60.0, validator=_SECONDS)


@frozen
class LateDelivery(SmtpFault):
    """A mail that is accepted at once and arrives in the mailbox late.

    Args:
        seconds: How late, in seconds of the sandbox's clock.
    """

    kind: ClassVar[str] = "late_delivery"
    stages: ClassVar[tuple[SmtpStage, ...]] = ("data",)
    seconds: float = field(default=30.0, validator=_SECONDS)


class SmtpFaults(FaultScript[SmtpStage, SmtpFault]):
    """The SMTP faults that are still to happen; all methods may be called from any thread."""

    def __init__(self) -> None:
        super().__init__(_STAGES, "stage")
        self._greylist: dict[tuple[str, str], float] = {}

    def clear(self) -> None:
        """Forget all faults, and who is greylisted."""
        super().clear()
        self._greylist.clear()

    def greylisted(self, pair: tuple[str, str], now: float, fault: SmtpFault | None) -> float:
        """Return for how many seconds a sender and recipient are still refused.

        Args:
            pair: The sender and the recipient.
            now: The sandbox's monotonic time, in seconds.
            fault: What has just happened to them; a `Greylist` begins their time.
        """
        if isinstance(fault, Greylist):
            self._greylist[pair] = now + fault.seconds
        left = self._greylist.get(pair, now) - now
        if left <= 0:
            self._greylist.pop(pair, None)
        return max(0.0, left)

    def next(self, stage: SmtpStage, *faults: SmtpFault, times: int = 1) -> None:
        """Have the next sessions that reach a stage meet these faults there, behind those already scripted.

        Args:
            stage: ``connect``, ``auth``, ``mail``, ``rcpt`` (each recipient) or ``data``.
            faults: What happens there, in this order.
            times: How often each fault happens.

        Raises:
            ConfigurationError: There is no such stage, or a fault cannot happen at it.
        """
        self._check_place(stage)
        for fault in faults:
            _check_stage(stage, fault)
        self._add(stage, faults, times)

    def randomly(self, rate: float, faults: Sequence[SmtpFault], *, seed: int = 0, stages: Iterable[SmtpStage]) -> None:
        """Have sessions meet one of these faults by chance, where nothing is scripted; the seed decides which.

        Args:
            rate: The chance at each stage to meet a fault, 0 to 1; 0 ends it.
            faults: What may happen, each as likely as the others.
            seed: The same seed and the same sessions give the same faults.
            stages: Where it may happen; each fault must be able to happen at all of them.
        """
        chosen = tuple(stages)
        for stage in chosen:
            for fault in faults:
                _check_stage(stage, fault)
        self._set_chance(rate, faults, seed, chosen)


def _check_stage(stage: str, fault: SmtpFault) -> None:
    if stage not in fault.stages:
        raise ConfigurationError(f"{fault.kind} can happen at {', '.join(fault.stages)}, not at {stage!r}")


_KINDS: Final[dict[str, type[SmtpFault]]] = {
    kind.kind: kind for kind in (SmtpReply, SmtpDisconnect, SmtpDelay, Greylist, LateDelivery)
}


def smtp_fault_from_json(value: Mapping[str, Any]) -> SmtpFault:
    """Make the fault that ``{"kind": "smtp_reply", "code": 451}`` describes."""
    return fault_from(value, _KINDS)


def smtp_fault_to_json(fault: SmtpFault) -> dict[str, Any]:
    """Describe a fault in JSON's types."""
    return {"kind": fault.kind, **asdict(fault)}  # type: ignore[arg-type] # every kind is an attrs class
