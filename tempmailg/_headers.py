"""What an answer's headers say: the quota, the service's time, when to come back, and what a support case needs."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tempmailg._body import clean
from tempmailg._models import Quota
from tempmailg._scalars import MismatchError, integer, moment

if TYPE_CHECKING:
    from tempmailg.transport import AnswerHeaders

__all__ = ["harmless", "has_quota_and_time", "quota_of", "retry_after_of", "server_time_of"]

_HARMLESS: Final = (
    *("X-Request-Id", "X-Correlation-Id", "CF-Ray", "CF-Cache-Status", "X-Cache"),
    *("Date", "Age", "Server", "Via", "Allow", "Content-Type", "Content-Length", "Content-Encoding", "Retry-After"),
    *("X-RateLimit-Limit", "X-RateLimit-Used", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)
_MAX_SHOWN: Final = 200  # characters of one header


def quota_of(headers: AnswerHeaders) -> Quota | None:
    """Return the quota that an answer reports, or None if it reports none that can be read."""
    limit, remaining = headers.get("X-RateLimit-Limit"), headers.get("X-RateLimit-Remaining")
    if limit is None or remaining is None:
        return None
    try:
        total, left = integer(limit), integer(remaining)
    except MismatchError:
        return None
    return Quota(
        limit=total,
        used=_used(headers.get("X-RateLimit-Used"), total - left),
        remaining=left,
        resets_at=_reset_moment(headers.get("X-RateLimit-Reset")),
    )


def _used(text: str | None, otherwise: int) -> int:
    """Read the used count; one that cannot be read, or is missing, follows from the two others."""
    try:
        return integer(text)
    except MismatchError:
        return otherwise


def has_quota_and_time(headers: AnswerHeaders) -> bool:
    """Say, without reading them, whether an answer reports how much of the quota remains and what time it is."""
    return (headers.get("X-RateLimit-Remaining") or "").isdigit() and headers.get("Date") is not None


@lru_cache(maxsize=8)  # the same text on every answer until that moment comes
def _reset_moment(text: str | None) -> datetime | None:
    """Read the reset; one that cannot be read, such as an epoch, is unknown, and the counts are true all the same."""
    try:
        return moment(text)
    except MismatchError:
        return None


def server_time_of(headers: AnswerHeaders) -> datetime | None:
    """Return the service's own time when it answered (`Date`), or None."""
    return _http_date(headers.get("Date"))


def retry_after_of(headers: AnswerHeaders, now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks for; a date counts from the answer's own, whatever our clock says.

    Args:
        headers: The answer's.
        now: From when a date counts in an answer that has none of its own.
    """
    values = headers.getall("Retry-After", [])
    if len(values) != 1:  # two of them contradict each other
        return None
    if values[0].isascii() and values[0].isdigit():
        return float(values[0][:20])
    until, since = _http_date(values[0]), server_time_of(headers) or now
    return max(0.0, (until - since).total_seconds()) if until and since else None


def harmless(headers: AnswerHeaders) -> dict[str, str]:
    """Return those headers of an answer that a support case needs, and that hold no secret by their nature."""
    found = {name: headers.get(name) for name in _HARMLESS}
    return {name: clean(value)[:_MAX_SHOWN] for name, value in found.items() if value is not None}


@lru_cache(maxsize=8)  # reading one costs as much as reading a message, and all answers of a second carry the same
def _http_date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
