"""`relay forget`: suppress and delete users everywhere, with a receipt; search again; look at earlier requests."""

import time
from collections.abc import Mapping
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import show_moment
from relay.cli.output import Output, agree, output_options
from relay.cli.remote import Remote, part, remote_options

TYPES: Final = ("SUPPRESS_WITH_DELETE", "DELETE_ONLY", "SUPPRESS_ONLY", "UNSUPPRESS")
ENDED: Final = ("FINISHED", "PARTIAL_SUCCESS", "FAILED")
POLL_S: Final = 0.3
EVERY: Final = "all"
_QUESTIONS: Final = {
    "SUPPRESS_WITH_DELETE": "Refuse events of {} from now on, and delete what is kept of them everywhere, for good?",
    "DELETE_ONLY": "Delete what is kept of {} everywhere, for good?",
    "SUPPRESS_ONLY": "Refuse events of {} from now on?",
    "UNSUPPRESS": "Take events of {} again?",
}


@click.command()
@click.argument("users", metavar="USER...", nargs=-1)
@click.option("--type", "kind", type=click.Choice(TYPES, case_sensitive=False), default=TYPES[0], show_default=True, help="What is to be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait for the end and print the receipt; exit 1 when a store failed.")
@click.option("--verify", metavar="USER", help="Search everywhere for a user; exit 1 when something is found.")
@click.option("--status", metavar="[ID]", is_flag=False, flag_value=EVERY, help="Print the receipt of a request, or list all requests.")
@remote_options
@output_options
def forget(
    users: tuple[str, ...], kind: str, yes: bool, wait: bool, verify: str | None, status: str | None, remote: Remote, out: Output,
) -> int:  # fmt: skip
    """Suppress and delete users everywhere: log, dead letters, samples, archives, warehouses, and destinations whose API can do it.

    \b
    relay forget u-4711 --wait
    relay forget --verify u-4711
    """
    if verify is not None:
        return _verify(remote, verify, out)
    if status is not None:
        return _list(remote, out) if status == EVERY else _receipt(remote.get(f"forget/{part(status)}"), out)
    if not users:
        raise exits.Failure(exits.USAGE, "A request needs user ids, --verify or --status.", "For example: relay forget u-4711 --wait")
    agree(_QUESTIONS[kind.upper()].format(exits.count_of(len(users), "user")), yes=yes)
    job = remote.post("forget", {"user_ids": list(users), "type": kind.upper()})
    while wait and job["status"] not in ENDED:
        time.sleep(POLL_S)
        job = remote.get(f"forget/{job['id']}")
    code = _receipt(job, out)
    if job["status"] not in ENDED:
        out.talk(f"It runs. `relay forget --status {job['id']}` prints the receipt.")
        return exits.DONE
    return code


def _receipt(job: Mapping[str, Any], out: Output) -> int:
    if out.json:
        out.document(job)
    else:
        out.line(f"request {job['id']}: {job['type']} of {exits.count_of(job['subjects'], 'user')}, {job['status']}")
        if job["stores"]:
            rows = [[one["name"], one["kind"], one["status"], f"{one['found']:,}", f"{one['erased']:,}", one["error"]] for one in job["stores"]]
            out.table(["STORE", "KIND", "STATUS", "FOUND", "ERASED", "NOTE"], rows)
    return exits.PROBLEMS if job["status"] in ("PARTIAL_SUCCESS", "FAILED") else exits.DONE


def _verify(remote: Remote, user: str, out: Output) -> int:
    told = remote.post("forget/verify", {"user_id": user})
    if out.json:
        out.document(told)
    elif told["clean"]:
        out.talk(f"Nothing of this user is found{'; what it sends is refused' if told['suppressed'] else ''}.")
    else:
        out.table(["STORE", "FOUND", "NOTE"], [[one["store"], f"{one['count']:,}", one["error"]] for one in told["found"]])
    return exits.DONE if told["clean"] else exits.PROBLEMS


def _list(remote: Remote, out: Output) -> int:
    told = remote.get("forget")
    if out.json:
        out.document(told)
        return exits.DONE
    if told["jobs"]:
        heads = ["ID", "TYPE", "USERS", "STATUS", "BY", "BEGAN"]
        rows = [
            [job["id"], job["type"], f"{job['subjects']:,}", job["status"], job["by"] or "-", show_moment(job["created_s"])] for job in told["jobs"]
        ]
        out.table(heads, rows)
    else:
        out.talk("There are no requests.")
    out.talk(f"{exits.count_of(told['suppressed'], 'user')} suppressed.")
    return exits.DONE
