"""`relay login`: a way into the UI for whoever may already use the command line."""

import click

from relay.cli import exits
from relay.cli.output import Output, output_options
from relay.cli.remote import Remote, remote_options


@click.command()
@remote_options
@output_options
def login(remote: Remote, out: Output) -> None:
    """Print a link that opens the UI of a running relay, once.

    The link is valid for 10 minutes and gives the rights of the token that asked for it: on relay's own machine those of its owner.

    \b
    relay login
    relay login --url https://relay.example.com --token-file me.token
    """
    if remote.url.startswith("unix:"):
        raise exits.Failure(exits.USAGE, "a browser cannot open a unix socket", "Name the address of the proxy in front of it with --url.")
    answer = remote.post("links")
    link = f"{remote.url.rstrip('/')}/ui/login#{answer['code']}"
    if out.json:
        out.document({"link": link, "role": answer["role"], "expires_in_s": answer["expires_in_s"]})
        return
    out.line(link)
    out.talk("Open it in a browser within 10 minutes; it works once.")
