"""`relay backup`, `relay restore`, `relay recover`: care of the one database file, without a running relay's help."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.base.clock import SystemClock
from relay.cli import exits
from relay.cli.moments import show_span
from relay.cli.output import Output, agree, output_options
from relay.cli.remote import configured

F = TypeVar("F", bound=Callable[..., Any])


def folder_options(command: F) -> F:
    """Add --data and --config, handed to the command as `data`: the folder that `serve` would use."""

    @click.option(
        "--data", type=click.Path(path_type=Path), envvar="RELAY_DATA", help="The data folder (also RELAY_DATA); as configured, or relay-data."
    )
    @click.option("--config", type=click.Path(path_type=Path), help="The configuration that names the data folder; searched as `serve` does.")
    @functools.wraps(command)
    def wrapped(*args: Any, data: Path | None, config: Path | None, **kwargs: Any) -> Any:
        return command(*args, data=data or configured(config)[1], **kwargs)

    return wrapped  # type: ignore[return-value]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@folder_options
@output_options
def backup(file: Path, data: Path, out: Output) -> None:
    """Copy the database while relay runs; the copy is checked before it gets its name.

    \b
    relay backup /backup/relay-monday.db --data /var/lib/relay
    relay backup today.db
    """
    from relay.database import care, folder

    clock = SystemClock()
    started = clock.monotonic()
    care.backup(data / folder.DATABASE, file)
    size = file.stat().st_size
    if out.json:
        out.document({"file": str(file), "bytes": size, "duration_s": round(clock.monotonic() - started, 3)})
    else:
        out.talk(
            f"{file}: {size:,} bytes, checked, in {show_span(clock.monotonic() - started)}. Archives lie in {data / folder.ARCHIVE}; copy them as well."
        )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@folder_options
@click.option("--yes", is_flag=True, help="Do not ask when there is a database already.")
@output_options
def restore(file: Path, data: Path, yes: bool, out: Output) -> None:
    """Put a backup in place of the database; the old one is kept beside it.

    \b
    relay restore /backup/relay-monday.db --data /var/lib/relay
    relay restore today.db --yes
    """
    from relay.database import care, folder

    if not file.is_file():
        raise FileNotFoundError(2, "there is no such file", str(file))
    if (data / folder.DATABASE).exists():
        agree(f"Put {file} in place of {data / folder.DATABASE}? What was delivered after the backup is sent again.", yes=yes)
    kept = care.restore(file, data, now=SystemClock().now())
    if out.json:
        out.document({"database": str(data / folder.DATABASE), "kept": str(kept) if kept else None})
    else:
        out.talk(f"{data / folder.DATABASE} is the backup now." + (f" The old one is {kept}." if kept else ""))


@click.command()
@folder_options
@output_options
def recover(data: Path, out: Output) -> int:
    """Copy what is readable out of a damaged database; the old file is kept.

    \b
    relay recover --data /var/lib/relay
    relay recover --json
    """
    from relay.database import care

    counts = care.recover(data, SystemClock().now())
    if out.json:
        out.document({"rows": counts})
    else:
        out.table(["TABLE", "ROWS"], [[table, f"{count:,}"] for table, count in sorted(counts.items())])
        out.talk(f"What was readable is in place in {data}; the damaged file lies beside it as relay.db.corrupt-<time>.")
        if counts["log"] and not counts["cursor"]:
            out.talk(
                "How far each destination was is lost: what waited for delivery is not sent by itself. To send it, and some of it for the "
                "second time: relay replay --to DESTINATION --since TIME"
            )
    return exits.DONE
