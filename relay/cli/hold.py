"""`relay hold` and `relay resume`."""

import click

from relay.cli.output import Output, output_options
from relay.cli.remote import Remote, part, remote_options


@click.command()
@click.argument("destination", metavar="DEST")
@remote_options
@output_options
def hold(destination: str, remote: Remote, out: Output) -> None:
    """Stop deliveries to one destination; its entries wait.

    \b
    relay hold orders
    relay hold orders --url http://10.0.0.5:8001 --token-file ops.token
    """
    answer = remote.post(f"destinations/{part(destination)}/hold")
    if out.json:
        out.document({"destination": destination, "held": True} | answer)
    else:
        out.talk(f"{destination} is held. Its entries wait, and no time counts against them. `relay resume {destination}` goes on.")


@click.command()
@click.argument("destination", metavar="DEST")
@remote_options
@output_options
def resume(destination: str, remote: Remote, out: Output) -> None:
    """Go on with deliveries to a destination that is held.

    \b
    relay resume orders
    relay resume orders --json
    """
    answer = remote.post(f"destinations/{part(destination)}/resume")
    if out.json:
        out.document({"destination": destination, "held": False} | answer)
    else:
        out.talk(f"{destination} goes on.")
