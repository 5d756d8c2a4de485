"""What a sandbox needs to listen; loaded when one starts, since aiohttp, aiosmtpd and cattrs take half a second."""

from tempmailg.sandbox._control import Control
from tempmailg.sandbox._http import HttpDoor
from tempmailg.sandbox._page import Page
from tempmailg.sandbox._smtp import SmtpDoor

__all__ = ["Control", "HttpDoor", "Page", "SmtpDoor"]
