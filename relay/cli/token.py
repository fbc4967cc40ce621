"""`relay token`: tokens of people and programs that use the UI, the Public API or the command line."""

import click

from relay.cli import exits
from relay.cli.moments import Span, show_moment
from relay.cli.output import Output, agree, output_options
from relay.cli.remote import Remote, part, remote_options


@click.group()
def token() -> None:
    """Make, list or revoke tokens.

    \b
    relay token new --name ci --role operator
    relay token ls
    """


@token.command()
@click.option("--name", required=True, help="Who or what uses the token.")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]), default="operator", show_default=True, help="What it may do.")
@click.option("--expires", "lasts_s", type=Span(), metavar="SPAN", help="It ends after this time, for example 90d.")
@remote_options
@output_options
def new(name: str, role: str, lasts_s: float | None, remote: Remote, out: Output) -> None:
    """Make a token and print it, this once.

    \b
    relay token new --name ci --role operator
    relay token new --name visitor --role viewer --expires 7d > visitor.token
    """
    wanted = {"name": name, "role": role} | ({"expires_in_s": lasts_s} if lasts_s else {})
    answer = remote.post("tokens", wanted)
    if out.json:
        out.document(answer)
        return
    out.line(str(answer["token"]))
    out.talk("This is the only time that the token is shown; relay keeps a hash of it.")


@token.command()
@remote_options
@output_options
def ls(remote: Remote, out: Output) -> int:
    """List the tokens; none of them is shown.

    \b
    relay token ls
    relay token ls --json
    """
    answer = remote.get("tokens")
    rows = answer.get("tokens", [])
    if out.json:
        out.document(answer)
    elif rows:
        times = ("created_s", "used_s", "expires_s")
        cells = [
            [str(row.get("id", "")), str(row.get("name", "")), str(row.get("role", "")), *(show_moment(row.get(at)) for at in times)] for row in rows
        ]
        out.table(["ID", "NAME", "ROLE", "CREATED", "LAST USED", "EXPIRES"], cells)
    else:
        out.talk("There are no tokens.")
    return exits.DONE


@token.command()
@click.argument("token_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
@output_options
def revoke(token_id: str, yes: bool, remote: Remote, out: Output) -> None:
    """Make a token useless, at once.

    \b
    relay token revoke 4f2a9c01d7e83b56
    relay token revoke 4f2a9c01d7e83b56 --yes
    """
    agree(f"Revoke token {token_id}?", yes=yes)
    answer = remote.ask("DELETE", f"tokens/{part(token_id)}")
    if out.json:
        out.document({"revoked": token_id} | answer)
    else:
        out.talk(f"Token {token_id} is revoked.")
