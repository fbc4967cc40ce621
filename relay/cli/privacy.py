"""`relay privacy`: keys for field encryption, what the fields of an event are, and encrypted values read again."""

import os
import sys
from pathlib import Path

import click

from relay.cli import exits
from relay.cli.output import Output, output_options
from relay.errors import ConfigError, EncryptionError, Problem


@click.group()
def privacy() -> None:
    """Make keys for field encryption, classify fields, decrypt values.

    \b
    relay privacy key --out-public crm.pem > crm-private.pem
    relay privacy classify event.json
    """


@privacy.command()
@click.option("--bits", type=click.Choice(["2048", "3072", "4096"]), default="2048", show_default=True, help="Length of the RSA key.")
@click.option("--out-public", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A new file for the public key.")
@output_options
def key(bits: str, file: Path, out: Output) -> None:
    """Make a key pair: the public key goes into a file, the private one is printed, this once.

    \b
    relay privacy key --out-public crm.pem > crm-private.pem
    relay privacy key --bits 4096 --out-public crm.pem
    """
    from relay.kit.encryption import new_pair

    private, public = new_pair(int(bits))
    with file.open("x") as stream:
        stream.write(public)
    if out.json:
        out.document({"private_key": private, "public_key": public, "public_file": str(file)})
    else:
        out.line(private.rstrip())
    out.warn("this is the only time that the private key is shown; relay keeps no copy. Store it where the values are decrypted, and nowhere else.")
    out.talk(f'The public key is in {file}: write public_key = "${{file:{file}}}" beside encrypt.')


@privacy.command()
@click.argument("file", metavar="[FILE|-]", default="-", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A configuration whose [[matcher]] tables count too.")
@output_options
def classify(file: Path, config: Path | None, out: Output) -> None:
    """Tell which fields of an event are red or yellow, and why; values are not shown.

    \b
    relay privacy classify event.json
    relay privacy classify --config relay.toml --json < event.json
    """
    from relay.base import jsonio
    from relay.config.tree import read_tree
    from relay.kit.matchers import classified, with_standard
    from relay.workspace.privacy import read_matchers

    problems: list[Problem] = []
    own = read_matchers(read_tree(config, environment=os.environ), problems) if config else ()
    if problems:
        raise ConfigError(problems)
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    try:
        event = jsonio.loads(text)
    except ValueError as error:
        raise exits.Failure(exits.USAGE, f"this is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise exits.Failure(exits.USAGE, "this is no event", 'give one JSON object, for example {"traits": {"email": "a@b.example"}}')
    found = dict.fromkeys((path, matcher.color, matcher.name) for path, _, matcher in classified(event, with_standard(own)))
    if out.json:
        out.document([{"path": path, "color": color, "matcher": name} for path, color, name in found])
    elif found:
        out.table(["PATH", "COLOUR", "MATCHER"], list(found))
    else:
        out.talk("No field is red or yellow.")


@privacy.command()
@click.option("--key", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The private key (PEM).")
@output_options
def decrypt(file: Path, out: Output) -> int:
    """Decrypt values, one on each line of stdin.

    \b
    relay privacy decrypt --key crm-private.pem < values.txt
    relay privacy decrypt --key crm-private.pem --json < values.txt
    """
    from relay.kit.encryption import decrypt as decrypt_value

    private, opened, failed = file.read_text(), [], 0
    for number, line in enumerate(filter(None, map(str.strip, sys.stdin)), 1):
        try:
            opened.append(decrypt_value(line, private))
        except EncryptionError as error:
            failed += 1
            out.warn(f"value {number}: {error.message}")
            continue
        if not out.json:
            out.line(opened[-1])
    if out.json:
        out.document(opened)
    return exits.PROBLEMS if failed else exits.DONE
