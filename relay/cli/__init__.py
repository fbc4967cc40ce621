"""The command line: a lazy group of commands, and `main`, which turns every ending into an exit code.

A command's module is imported when the command is used, so `relay version` costs no more than click. stdout is data, stderr is talk.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from relay.cli import exits

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("relay.cli.serve:serve", "Run everything in one process."),
    "check": ("relay.cli.check:check", "Validate the configuration, then reach each destination."),
    "catalog": ("relay.cli.catalog:catalog", "List the destinations that relay can deliver to, or tell everything about one."),
    "new-destination": ("relay.cli.new_destination:new_destination", "Write a destination of your own from a template."),
    "send": ("relay.cli.send:send", "Send test events to a source, or show what a destination would get."),
    "why": ("relay.cli.why:why", "Tell why an event arrived, or why not."),
    "try": ("relay.cli.rehearse:rehearse", "Run cases through trigger, mapping and action: what a destination would send."),
    "diff": ("relay.cli.diff:diff", "Run a changed configuration over stored events: what would be sent otherwise."),
    "dead": ("relay.cli.dead:dead", "List, show, re-send or discard dead letters."),
    "replay": ("relay.cli.replay:replay", "Send stored events to a destination again."),
    "forget": ("relay.cli.forget:forget", "Suppress and delete users everywhere, with a receipt."),
    "archive": ("relay.cli.archive:archive", "List, export, verify or prune stored events."),
    "plan": ("relay.cli.plan:plan", "Check, compare, convert and infer tracking plans."),
    "tap": ("relay.cli.tap:tap", "Watch events as they come."),
    "top": ("relay.cli.top:top", "Watch the destinations: rates, backlog, success."),
    "hold": ("relay.cli.hold:hold", "Stop deliveries to one destination; its entries wait."),
    "resume": ("relay.cli.hold:resume", "Go on with deliveries to a destination that is held."),
    "alerts": ("relay.cli.alerts:alerts", "Show the alerts that fire now, with what to do, and those that are over."),
    "privacy": ("relay.cli.privacy:privacy", "Make keys for field encryption, classify fields, decrypt values."),
    "backup": ("relay.cli.store:backup", "Copy the database while relay runs."),
    "restore": ("relay.cli.store:restore", "Put a backup in place of the database."),
    "recover": ("relay.cli.store:recover", "Copy what is readable out of a damaged database."),
    "doctor": ("relay.cli.doctor:doctor", "Examine this machine, the data folder and the running relay."),
    "login": ("relay.cli.login:login", "Print a link that opens the UI of a running relay, once."),
    "token": ("relay.cli.token:token", "Make, list or revoke tokens."),
    "health": ("relay.cli.health:health", "Tell whether relay is ready."),
    "version": ("relay.cli.version:version", "Print the versions of relay and what it runs on."),
    "completion": ("relay.cli.version:completion", "Print the completion script of a shell."),
}
"""Command to (module:attribute, first line of its help)."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but the nearest match is looked for among the lazy names (click looks at loaded commands only)."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(name, possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from relay import __version__

        click.echo(f"relay {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print relay's version.")
def root() -> None:
    """A self-hosted event router that speaks Segment's language.

    \b
    relay serve --config relay.toml
    relay send track --event "Order Completed" --user u1 --wait
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but a second signal escapes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    instruction = os.environ.get("_RELAY_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "relay", "_RELAY_COMPLETE", instruction)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return exits.DONE
    except BaseException as error:  # fence: the process ends here, with an exit code instead of a traceback
        return exits.report(error)
    return code


def _run(words: list[str]) -> int:
    try:
        with root.make_context("relay", words) as context:
            result: Any = root.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    return result if isinstance(result, int) else exits.DONE


def _silence_stdout() -> None:
    """The reader of the pipe is gone: what is still buffered must not fail again when Python exits."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
    except (OSError, ValueError):
        return
    os.close(descriptor)
