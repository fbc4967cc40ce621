"""`relay alerts`: what fires now with what to do, and what was; a test alert, and mute."""

from collections.abc import Mapping
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import show_moment, show_span
from relay.cli.output import Output, output_options, printable
from relay.cli.remote import Remote, remote_options

SHOWN: Final = 20


@click.command()
@click.option("--test", "test", metavar="DEST", help="Send one test alert to a destination that carries alerts.")
@click.option("--mute", type=click.IntRange(min=1), metavar="ID", help="Tell nothing about the cause of this alert for a while.")
@click.option("--hours", type=click.FloatRange(min=0), default=1.0, show_default=True, help="How long --mute lasts; 0 ends it.")
@remote_options
@output_options
def alerts(test: str | None, mute: int | None, hours: float, remote: Remote, out: Output) -> int:
    """Show the alerts that fire now, with what to do, and those that are over.

    \b
    relay alerts
    relay alerts --test ops
    """
    if test is not None:
        answer = remote.post("alerts/test", {"destination": test})
        _tell(out, answer, f"A test alert is on its way to {', '.join(answer['destinations'])}; follow it with `relay why {answer['message_id']}`.")
        return exits.DONE
    if mute is not None:
        answer = remote.post(f"alerts/{mute}/mute", {"hours": hours})
        until = f"until {show_moment(answer['muted_until_s'])}" if hours else "no longer"
        _tell(out, answer, f"The cause of alert {mute} is muted {until}.")
        return exits.DONE
    told = remote.get("alerts")
    if out.json:
        out.document(told)
        return exits.DONE
    _show(told, out)
    return exits.DONE


def _tell(out: Output, answer: Mapping[str, Any], text: str) -> None:
    if out.json:
        out.document(answer)
    else:
        out.talk(text)


def _show(told: Mapping[str, Any], out: Output) -> None:
    for alert in told["firing"]:
        muted = f", muted until {show_moment(alert['muted_until_s'])}" if alert["muted_until_s"] else ""
        out.line(f"{out.paint('firing', 'fail')}  {alert['id']}  {printable(alert['rule'])}, since {show_moment(alert['opened_s'])}{muted}")
        sample = alert["sample"] or {}
        lines = [
            ("", alert["text"]),
            ("cause", alert["cause"]),
            ("answer", " ".join(str(part) for part in (sample.get("status"), sample.get("answer")) if part)),
            ("change", _change(alert["change"])),
            ("do", alert["cure"]),
        ]
        for label, text in lines:
            if text:
                out.line(f"  {label:<8}{printable(text)}" if label else f"  {printable(text)}")
    if told["firing"] and told["history"]:
        out.line("")
    if told["history"]:
        rows = [
            [
                str(one["id"]),
                one["rule"],
                one["subject"]["slug"],
                show_moment(one["opened_s"]),
                show_span(one["resolved_s"] - one["opened_s"]),
                one["text"],
            ]
            for one in told["history"][:SHOWN]
        ]
        out.table(["ID", "RULE", "ABOUT", "BEGAN", "LASTED", "WHAT"], rows)
    if not told["enabled"]:
        out.talk("Nothing is watched: [alerts] enabled is false.")
    elif not told["firing"]:
        out.talk("No alert fires.")
    if not told["carriers"]:
        out.talk('Nobody is told of alerts: name "relay" in the sources of a destination (slack, email, webhook ...).')


def _change(change: Mapping[str, Any] | None) -> str:
    if not change:
        return ""
    return f"workspace version {change['version']} by {change['by']} at {show_moment(change['at_s'])}: {', '.join(change['changed']) or 'nothing that is named'}"
