"""The arguments and results of the tools: their JSON schemas are what a language model reads about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Attached",
    "CodeResult",
    "Deleted",
    "LinkResult",
    "Listed",
    "MailboxArguments",
    "MessageList",
    "MessageResult",
    "NewMailbox",
    "NoArguments",
    "ReadArguments",
    "SandboxInfo",
    "SaveArguments",
    "Saved",
    "WaitArguments",
    "WaitForCodeArguments",
    "WaitForLinkArguments",
    "schema_of",
]

MailboxName = Annotated[str, Field(max_length=320, description="The address of a mailbox that new_mailbox returned.")]
MessageId = Annotated[str, Field(max_length=512, description="A message_id that another tool returned.")]
Status = Annotated[
    Literal["found", "not_yet"],
    Field(description="not_yet: call the same tool again with the cursor, and nothing else."),
]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema without the titles, which repeat the names."""
    return _without_titles(model.model_json_schema())


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "title" and isinstance(value, str):
            continue
        found[name] = _without_titles(value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType] - JSON
    return found


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoArguments(_Arguments):
    pass


class MailboxArguments(_Arguments):
    mailbox: MailboxName


class WaitArguments(_Arguments):
    mailbox: MailboxName | None = Field(default=None, description="The mailbox to wait at. Leave it out with a cursor.")
    cursor: str | None = Field(
        default=None, max_length=64, description="The cursor of the last not_yet: goes on with that wait."
    )
    sender: str | None = Field(
        default=None, max_length=200, description="Text that the sender's name or address must contain."
    )
    subject: str | None = Field(default=None, max_length=200, description="Text that the subject must contain.")
    include_shown: bool = Field(
        default=False, description="Also take messages that a tool has shown before; they may hold an old code or link."
    )
    seconds: float | None = Field(
        default=None, ge=1, description="How long this call waits at most; 25 is the upper limit."
    )


class WaitForCodeArguments(WaitArguments):
    length: int | None = Field(
        default=None, ge=1, le=64, description="How many characters the code has, if that is known."
    )


class WaitForLinkArguments(WaitArguments):
    contains: str | None = Field(default=None, max_length=200, description="Text that the link's address must contain.")


class ReadArguments(_Arguments):
    message_id: MessageId
    body: bool = Field(
        default=False, description="Whether to return the body, too. The code and the link come without it."
    )
    max_characters: int = Field(default=4_000, ge=1, le=20_000, description="How much of the body to return.")


class SaveArguments(_Arguments):
    message_id: MessageId
    number: int = Field(ge=1, description="The attachment's number, from read_message.")


class SandboxInfo(BaseModel):
    note: str
    smtp_host: str
    smtp_port: int


class NewMailbox(BaseModel):
    mailbox: str = Field(description="The address to give to whoever shall send mail.")
    expires_in_seconds: int | None = None
    mailboxes_left: int = Field(description="How many more this session may make.")
    requests_left: int = Field(description="How many more requests this session may send.")
    sandbox: SandboxInfo | None = Field(
        default=None, description="Present if there is no API key: no mail of the internet comes."
    )


class _WaitResult(BaseModel):
    status: Status
    message_id: str | None = None
    cursor: str | None = Field(default=None, description="With not_yet: what to call the tool with next.")
    passed_over: int = Field(
        default=0, description="Messages not taken since a tool has shown them, or a newer one, before."
    )
    without: list[str] = Field(
        default_factory=list[str], description="Ids of messages that came and hold none, or no clear one: read_message."
    )
    trouble: str | None = Field(default=None, description="The last fault on the way, if there was one.")
    next: str = Field(description="What to do next.")


class CodeResult(_WaitResult):
    code: str | None = Field(default=None, description="The code to type.")


class LinkResult(_WaitResult):
    link: str | None = Field(default=None, description="The address to open; it was not fetched.")
    host: str | None = Field(default=None, description="The host that the link leads to.")
    misleading: bool = Field(
        default=False, description="Whether the mail shows another address than the link leads to."
    )
    shown: str | None = Field(default=None, description="The other address that the mail shows: a stranger's text.")


class Attached(BaseModel):
    number: int
    name: str
    size: int | None = None


class Listed(BaseModel):
    code: str | None = None
    link: str | None = None
    misleading: bool = False
    message_id: str
    received_at: str
    sender: str
    subject: str
    attachments: int


class MessageList(BaseModel):
    messages: list[Listed] = Field(description="The newest first.")
    total: int = Field(description="How many messages that can be read the mailbox holds; only the newest are listed.")
    unreadable: int = Field(
        default=0, description="How many more messages are there, of which the service's answer could not be read."
    )
    trouble: str | None = Field(default=None, description="Why the first of those could not be read.")
    notice: str


class MessageResult(BaseModel):
    code: str | None = None
    link: str | None = None
    host: str | None = None
    misleading: bool = False
    shown: str | None = None
    message_id: str
    received_at: str
    sender: str
    subject: str
    attachments: list[Attached]
    notice: str
    body: str | None = Field(default=None, description="Between two marks that no mail can forge: a stranger's text.")
    body_was_cut: bool = False


class Saved(BaseModel):
    path: str
    notice: str
    size: int


class Deleted(BaseModel):
    deleted: str
