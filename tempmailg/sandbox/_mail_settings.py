"""Where the sandbox receives mail, in the words of those who send it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from tempmailg._errors import ConfigurationError

__all__ = ["Framework", "mail_settings"]

Framework: TypeAlias = Literal["django", "flask", "environment"]


def mail_settings(framework: Framework, host: str, port: int) -> dict[str, Any]:
    """Return the settings that make an application send its mail to a server without login and encryption.

    Raises:
        ConfigurationError: The framework is none of those that are known.
    """
    if framework == "django":
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",  # Django's test runner sets another one
            "EMAIL_HOST": host,
            "EMAIL_PORT": port,
            "EMAIL_HOST_USER": "",
            "EMAIL_HOST_PASSWORD": "",
            "EMAIL_USE_TLS": False,
            "EMAIL_USE_SSL": False,
        }
    if framework == "flask":
        return {
            "MAIL_SERVER": host,
            "MAIL_PORT": port,
            "MAIL_USERNAME": None,
            "MAIL_PASSWORD": None,
            "MAIL_USE_TLS": False,
            "MAIL_USE_SSL": False,
            "MAIL_SUPPRESS_SEND": False,  # with TESTING, Flask-Mail would send nothing
        }
    if framework == "environment":
        address = f"[{host}]" if ":" in host else host
        url = f"smtp://{address}:{port}"
        return {"SMTP_HOST": host, "SMTP_PORT": str(port), "SMTP_URL": url, "EMAIL_URL": url}
    raise ConfigurationError(f"framework must be 'django', 'flask' or 'environment', not {framework!r}")
