"""The API's reference, statement by statement, against the sandbox or the real service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from support.parity import Parity, Service, misfit

LIFETIME = timedelta(seconds=600)


def test_domains(service: Service, parity: Parity) -> None:
    """Endpoint 1 lists the domains of a plan."""
    reply = service.send("GET", "domains", query="?type=free")
    parity.documented("GET /domains answers 200", reply.status == 200, reply.status)
    problem = misfit("DomainListAnswer", reply.json)
    parity.documented("its envelope holds requested_type, allowed_types and domains", not problem, problem)
    parity.documented("it repeats the requested type", reply.json["data"]["requested_type"] == "free", reply.json)
    parity.documented("every plan may ask for free domains", "free" in reply.json["data"]["allowed_types"], reply.json)


def test_creation(service: Service, parity: Parity, mailbox: dict[str, Any]) -> None:
    """Endpoint 2 creates a mailbox that lives for a while."""
    problem = misfit("MailboxAnswer", {"status": True, "data": mailbox})
    parity.documented("POST /emails answers with the mailbox", not problem, problem)
    domain = mailbox["email"].rpartition("@")[2]
    parity.documented("domain is the part behind the @", mailbox["domain"] == domain, mailbox["domain"])
    created, expires = (datetime.fromisoformat(mailbox[name]) for name in ("created_at", "expire_at"))
    parity.documented("its times carry an offset", bool(created.tzinfo and expires.tzinfo), mailbox["created_at"])
    life = expires - created
    parity.documented("it lives for 600 seconds", abs(life - LIFETIME) < timedelta(seconds=5), str(life))


def test_switch(service: Service, parity: Parity) -> None:
    """Endpoint 3 switches a mailbox to another address."""
    before = service.send("POST", "emails").json["data"]
    name = f"parity{before['id']}"
    reply = service.send("POST", "emails", before["email"], name, before["domain"])
    parity.documented("POST /emails/{email}/{username}/{domain} answers 200", reply.status == 200, reply.status)
    after = reply.json["data"]
    parity.documented(
        "the address is the one asked for", after["email"] == f"{name}@{before['domain']}", after["email"]
    )
    parity.documented("the id is a new one", after["id"] != before["id"], after["id"])
    gone = service.messages(before["email"]).status
    parity.assumed("the old address is no mailbox any more", gone == 404, gone)
    service.send("DELETE", "emails", after["email"])


def test_deletion(service: Service, parity: Parity) -> None:
    """Endpoint 4 deletes a mailbox."""
    email = service.send("POST", "emails").json["data"]["email"]
    reply = service.send("DELETE", "emails", email)
    parity.documented("DELETE /emails/{email} answers 200", reply.status == 200, reply.status)
    problem = misfit("DeletionAnswer", reply.json)
    parity.documented("its payload is a message text", not problem, problem)
    again = service.send("DELETE", "emails", email)
    parity.assumed("deleting it again answers 404", again.status == 404, again.status)
    problem = misfit("Error", again.json)
    parity.assumed('an error is {"status": false, "message": text}', not problem, problem)


def test_empty_mailbox(service: Service, parity: Parity, mailbox: dict[str, Any]) -> None:
    """Endpoint 5 lists nothing for a new mailbox."""
    reply = service.messages(mailbox["email"])
    parity.documented("GET /messages answers 200", reply.status == 200, reply.status)
    problem = misfit("MessagesAnswer", reply.json)
    parity.documented("its payload stands under messages, beside mailbox", not problem, problem)
    parity.documented("mailbox is the address", reply.json["mailbox"] == mailbox["email"], reply.json["mailbox"])
    parity.documented("a new mailbox is empty", reply.json["messages"] == [], reply.json["messages"])
    parity.assumed("the answer offers an ETag", "etag" in reply.headers, sorted(reply.headers))
    if "etag" in reply.headers:
        unchanged = service.messages(mailbox["email"], If_None_Match=reply.headers["etag"]).status
        parity.assumed("If-None-Match is answered with 304", unchanged == 304, unchanged)


def test_message(service: Service, parity: Parity, mailbox: dict[str, Any]) -> None:
    """Endpoints 5 to 8 deliver a real mail, its attachment and its end."""
    content = service.deliver(mailbox["email"])
    (listed,) = service.messages(mailbox["email"]).json["messages"]
    problem = misfit("Message", listed)
    parity.documented("a listed message has the documented fields", not problem, problem)
    parity.documented("it is unseen before it was opened", listed["is_seen"] is False, listed["is_seen"])
    parity.documented(
        "html says that content is HTML", listed["html"] and "<p>" in listed["content"], listed["content"]
    )
    received = datetime.fromisoformat(listed["receivedAt"] + "+00:00")
    parity.assumed("receivedAt is UTC", abs(datetime.now(UTC) - received) < timedelta(minutes=2), listed["receivedAt"])

    opened = service.send("GET", "messages", listed["id"])
    parity.documented("GET /messages/{id} answers 200", opened.status == 200, opened.status)
    parity.documented("it comes back seen", opened.json["data"]["is_seen"] is True, opened.json["data"]["is_seen"])

    (attachment,) = listed["attachments"]
    file = service.send("GET", "messages", listed["id"], "attachments", attachment["name"])
    parity.documented("the attachment's bytes are those that were sent", file.body == content, len(file.body))
    parity.assumed("its size is in bytes", int(attachment["size"]) == len(content), attachment["size"])

    deleted = service.send("DELETE", "messages", listed["id"])
    parity.documented("DELETE /messages/{id} answers 200", deleted.status == 200, deleted.status)
    left = service.messages(mailbox["email"]).json["messages"]
    parity.documented("it is listed no more", left == [], left)


def test_quota(service: Service, parity: Parity, mailbox: dict[str, Any]) -> None:
    """Quota headers count successful answers, and no others."""
    first = service.messages(mailbox["email"])
    names = {f"x-ratelimit-{name}" for name in ("limit", "used", "remaining", "reset")}
    parity.documented("answers carry the four quota headers", names <= set(first.headers), sorted(first.headers))
    reset = datetime.fromisoformat(first.headers["x-ratelimit-reset"])
    parity.documented("the reset is ISO 8601 with an offset", reset.tzinfo is not None, str(reset))
    total = first.used + int(first.headers["x-ratelimit-remaining"])
    parity.documented("used and remaining add up to limit", total == int(first.headers["x-ratelimit-limit"]), total)
    service.send("GET", "messages", "no-such-message")
    second = service.messages(mailbox["email"])
    parity.documented("a failed request costs nothing", second.used - first.used == 1, second.used - first.used)


def test_refusals(service: Service, parity: Parity) -> None:
    """What is wrong, foreign or unknown is refused with the assumed statuses."""
    stranger = service.send("GET", "domains", query="?type=free", key="not-a-key")
    parity.assumed("a wrong key answers 401", stranger.status == 401, stranger.status)
    unknown = service.messages("nobody-at-all@example.invalid")
    parity.assumed("a mailbox that is not owned answers 404 or 403", unknown.status in (403, 404), unknown.status)
    message = service.send("GET", "messages", "no-such-message")
    parity.assumed("an unknown message answers 404", message.status == 404, message.status)
    odd = service.send("GET", "domains", query="?type=cheap")
    parity.assumed("an unknown domain type answers 422 or 400", odd.status in (400, 422), odd.status)
    problem = misfit("Error", odd.json)
    parity.assumed("its error is JSON", not problem, problem)
