"""`relay version` and `relay completion`: the commands that must start fast and need nothing."""

import click

from relay.cli.output import Output, output_options


@click.command()
@output_options
def version(out: Output) -> None:
    """Print the versions of relay and what it runs on.

    \b
    relay version
    relay version --json
    """
    facts = versions()
    if out.json:
        out.document(facts)
    else:
        commit = f", commit {facts['commit']}" if facts["commit"] else ""
        out.line(f"relay {facts['relay']} (Python {facts['python']}, SQLite {facts['sqlite']}, {facts['platform']}{commit})")


def versions() -> dict[str, str]:
    """relay, Python, SQLite, platform, commit (set where relay was built; empty otherwise)."""
    import os
    import platform
    import sqlite3

    from relay import __version__

    return {
        "relay": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": os.environ.get("RELAY_COMMIT", ""),
    }


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_options
def completion(shell: str, out: Output) -> None:
    """Print the completion script of a shell.

    \b
    relay completion bash > /etc/bash_completion.d/relay
    relay completion fish > ~/.config/fish/completions/relay.fish
    """
    from click.shell_completion import get_completion_class

    from relay.cli import root

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    script = kind(root, {}, "relay", "_RELAY_COMPLETE").source()
    if out.json:
        out.document({"shell": shell, "script": script})
    else:
        out.line(script)
