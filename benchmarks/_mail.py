"""The answers that every contestant receives: the same bytes for all."""

from __future__ import annotations

import json
from typing import Final

__all__ = ["HEAD", "MAILBOX", "PREFIXES", "QUOTA", "answer_body"]

MAILBOX: Final = "randombox@example.com"

SIZES: Final = (1, 50, 1_000)
"""How many messages the answers hold."""

PREFIXES: Final = {size: f"/api{size}" for size in SIZES}
"""Below which path the API stands whose list of messages has that many."""

_BODY_SIZE: Final = 2_048  # bytes of one message as JSON

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: %s\r\n"
    b"Content-Type: application/json\r\n"
    b"X-RateLimit-Limit: 50000000\r\n"
    b"X-RateLimit-Used: %d\r\n"
    b"X-RateLimit-Remaining: %d\r\n"
    b"X-RateLimit-Reset: 2099-05-01T00:00:00+05:00\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n"
)
"""The head of an answer: date, quota used and left, length of the body."""

QUOTA: Final = 50_000_000


def answer_body(messages: int) -> bytes:
    """Return the body of a `GET /messages` answer with that many messages of 2 KB each."""
    return json.dumps(
        {"status": True, "mailbox": MAILBOX, "messages": [_message(number) for number in range(messages)]}
    ).encode()


def _message(number: int) -> dict[str, object]:
    """Return one message, filled up to its size; every fourth has an attachment, as the documentation's sample has."""
    message_id = f"ap94AWDg123ELQz07vrVB9dLXlbqZM5NGwYxOJKko8{number:04}"
    message: dict[str, object] = {
        "is_seen": bool(number % 2),
        "subject": "Welcome to Temp Mail",
        "from": "Example Sender",
        "from_email": "hello@example.org",
        "to": MAILBOX,
        "receivedAt": f"2026-06-28 09:{number % 60:02}:51",
        "id": message_id,
        "html": True,
        "content": "",
        "attachments": [_attachment(message_id)] if number % 4 == 0 else [],
    }
    paragraph = "<p>Hello from the <a href='https://example.org/welcome'>inbox</a> — 你好.</p>\n"
    missing = _BODY_SIZE - len(json.dumps(message))
    message["content"] = (paragraph * 40)[: missing * 2 // 3]
    message["content"] = f"{message['content']}{'.' * (_BODY_SIZE - len(json.dumps(message)))}"
    return message


def _attachment(message_id: str) -> dict[str, object]:
    return {
        "name": "file.txt",
        "extension": "txt",
        "size": 91,
        "url": f"https://v1.tempmailg.com/api/messages/{message_id}/attachments/file.txt",
    }
