"""E-mail by SMTP: each event as one message; relay's own alerts in a layout of their own. Needs the extra relay[email]."""

from collections.abc import Mapping
from email.utils import getaddresses
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any

from relay.errors import Problem
from relay.kit.alert_card import TRIGGER
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import Sink, SinkContext

PORTS = {"starttls": 587, "tls": 465, "plain": 25}


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.email.sink import EmailSink, Server

    server = Server(
        host=settings["host"],
        port=settings.get("port") or PORTS[settings["security"]],
        security=settings["security"],
        username=settings.get("username") or "",
        password=settings["password"].reveal() if settings.get("password") else "",
        ca_file=settings.get("caFile") or "",
    )
    return EmailSink(server, settings["from"], tuple(settings["to"]), settings.get("subjectPrefix") or "", context)


def address_of(text: str) -> str:
    """`a@b` of `Name <a@b>`; empty when it is no address."""
    found = getaddresses([text])
    address = found[0][1] if len(found) == 1 else ""
    name, at, domain = address.rpartition("@")
    is_plain = all(character > " " and character not in '\x7f<>(),;:\\"[]' for character in address)
    return address if at and name and domain and is_plain and not any(character < " " for character in text) else ""


def check(settings: Mapping[str, Any]) -> list[Problem]:
    """What the types of the settings cannot show."""
    problems = []
    if find_spec("aiosmtplib") is None:
        problems.append(Problem("the library for SMTP is not installed", None, "pip install 'relay[email]'"))
    for name in ("from", "to"):
        given = settings.get(name) or ()
        wrong = [one for one in ([given] if isinstance(given, str) else given) if not address_of(one)]
        problems += [Problem(f"{name}: '{one}' is no mail address", None, "write it like ops@example.com or Ops <ops@example.com>") for one in wrong]
    if not 0 <= int(settings.get("port") or 0) <= 65_535:
        problems.append(Problem("port must be between 1 and 65535"))
    if settings.get("password") and settings.get("security") == "plain" and not _is_loopback(str(settings.get("host") or "")):
        problems.append(Problem("security: 'plain' would send the password readable over the network", None, "use starttls or tls"))
    if bool(settings.get("username")) != bool(settings.get("password")):
        problems.append(Problem("username and password belong together", None, "set both, or none"))
    return problems


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


DEFINITION = Definition(
    slug="email",
    name="Email",
    description="Sends each event as a message by SMTP; made for the alerts of relay.",
    mode="storage",
    settings=(
        Setting("host", "Server", required=True, help="Name or address of the SMTP server."),
        Setting("port", "Port", "integer", default=0, help="0: 587 with starttls, 465 with tls, 25 with plain."),
        Setting("security", "Security", default="starttls", choices=tuple(PORTS), help="starttls and tls check the server's certificate."),
        Setting("username", "User name", help="Left out: relay does not log in."),
        Setting("password", "Password", secret=True),
        Setting("caFile", "CA file", help="Certificates (PEM) to trust instead of the system's."),
        Setting("from", "From", required=True, help="The sender: ops@example.com or Relay <ops@example.com>."),
        Setting("to", "To", "list", required=True, help="The recipients."),
        Setting("subjectPrefix", "Subject prefix", default="[relay]", help="What each subject begins with."),
    ),
    actions={
        "send": Action(
            "send",
            "Send a message",
            description="One message per event: an alert in its layout, any other event with its JSON.",
            default_trigger=TRIGGER,
        )
    },
    presets=(Preset("Alerts of relay", "send", TRIGGER),),
    check=check,
    open_sink=_open,
)
