"""`relay serve`: hands the options to `relay.app`, which does everything else."""

from pathlib import Path

import click

from relay.cli.output import Output, talk_options


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file (also RELAY_CONFIG, ./relay.toml, /etc/relay/relay.toml).")
@click.option("--data", type=click.Path(path_type=Path), help="The data folder; ./relay-data when nothing names one.")
@click.option("--listen", metavar="ADDR", help="Where apps send events: host:port, or unix:/path.")
@click.option("--ui-listen", metavar="ADDR", help="Where the UI, its API and the metrics answer: host:port.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set one setting, for example log.level=debug; wins over file and environment."
)
@talk_options
def serve(config: Path | None, data: Path | None, listen: str | None, ui_listen: str | None, overrides: tuple[str, ...], out: Output) -> int:
    """Run everything in one process.

    \b
    relay serve
    relay serve --config /etc/relay/relay.toml --data /var/lib/relay --set log.level=debug
    """
    for override in overrides:
        if "=" not in override:
            raise click.BadParameter(f"{override!r} is not key=value.", param_hint="--set")
    level = "debug" if out.verbose else "warning" if out.quiet else ""
    if level and not any(override.startswith("log.level=") for override in overrides):
        overrides = (*overrides, f"log.level={level}")
    from relay.app import ServeOptions
    from relay.app import serve as run

    return run(ServeOptions(config=config, data=data, listen=listen, ui_listen=ui_listen, overrides=overrides))
