"""`relay health`, for container health checks."""

import click

from relay.cli import exits
from relay.cli.output import Output, output_options
from relay.cli.remote import Remote, address_options


@click.command(epilog="Exit: 0 ready, 1 not ready, 69 nobody answers.")
@address_options
@output_options
def health(remote: Remote, out: Output) -> int:
    """Tell whether relay is ready.

    \b
    relay health
    relay health --url http://10.0.0.5:8001 --json
    """
    answer = remote.probe("/readyz")
    ready = answer.status == 200
    said = answer.json()
    failed = [str(name) for name in said.get("failed", [])] if isinstance(said, dict) else []
    if out.json:
        out.document({"ready": ready, "failed": failed})
    elif ready:
        out.talk("ready")
    else:
        out.warn(f"not ready: {', '.join(failed) or f'status {answer.status}'}")
    return exits.DONE if ready else exits.PROBLEMS
