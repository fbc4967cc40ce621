"""`relay doctor`: looks at this machine, the data folder, the configuration and the running relay; each finding with a remedy.

Reads only. `--bundle` packs what a helper needs, with secrets masked and no payloads, and lists what is inside.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from relay.base.clock import SystemClock
from relay.cli import exits
from relay.cli.checkup import Finding, of_data_folder, of_machine, of_ports
from relay.cli.moments import show_span
from relay.cli.output import Output, output_options
from relay.cli.remote import Remote, remote_options
from relay.errors import ConfigError

if TYPE_CHECKING:
    from relay.workspace.assemble import Loaded

OLD_S: Final = 600
"""A queue whose oldest entry waits longer deserves a look."""


@click.command(epilog="Exit: 0 nothing failed (warnings do not count), 1 something failed.")
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE.tgz", help="Also pack the findings for somebody who helps.")
@remote_options
@output_options
def doctor(bundle: Path | None, remote: Remote, out: Output) -> int:
    """Examine this machine, the data folder, the configuration and the running relay.

    \b
    relay doctor --config /etc/relay/relay.toml
    relay doctor --bundle relay-doctor.tgz
    """
    loaded, findings = _configuration(remote.config)
    status, served = _running(remote)
    data = remote.data or Path("relay-data")
    found = [*of_machine(), *findings, *of_data_folder(data, loaded.settings.store.min_free_bytes if loaded else 0), *served]
    if loaded is not None and not any(one.name == "relay" and one.state != "warn" for one in served):
        found += of_ports((loaded.settings.server.listen, loaded.settings.ui.listen))
    packed = _pack(bundle, found, loaded, status) if bundle else []
    if out.json:
        out.document({"findings": [asdict(one) for one in found], "bundle": packed})
    else:
        _tell(found, out)
        if bundle:
            out.talk(f"{bundle} contains: {', '.join(packed)}. Secrets are masked; there are no payloads.")
    return exits.PROBLEMS if any(one.state == "fail" for one in found) else exits.DONE


def _tell(found: Sequence[Finding], out: Output) -> None:
    width = max(len(one.name) for one in found)
    for one in found:
        if out.quiet and one.state == "ok":
            continue
        out.line(f"{out.paint(one.state.ljust(4))}  {one.name.ljust(width)}  {one.detail}")
        if one.remedy:
            out.line(f"{'':<{width + 8}}{one.remedy}")


def _configuration(path: Path | None) -> "tuple[Loaded | None, list[Finding]]":
    from relay.cli.check import read

    try:
        loaded, _ = read(path)
    except ConfigError as error:
        return None, [Finding("fail", "config", _at(problem), problem.remedy) for problem in error.problems]
    files = ", ".join(str(file) for file in loaded.tree.files) or "no file: the defaults"
    warnings = [Finding("warn", "config", _at(problem), problem.remedy) for problem in loaded.warnings]
    return loaded, [Finding("ok", "config", files), *warnings]


def _at(problem: Any) -> str:
    return f"{problem.place}: {problem.message}" if problem.place else str(problem.message)


def _running(remote: Remote) -> tuple[dict[str, Any], list[Finding]]:
    """What the running relay says about itself; not running is a warning, since a doctor is also called before the start."""
    try:
        ready = remote.probe("/readyz")
    except exits.Failure as failure:
        return {}, [Finding("warn", "relay", failure.message, failure.remedy)]
    said = ready.json()
    failed = ", ".join(said.get("failed", [])) if isinstance(said, dict) else ""
    findings = [Finding("ok", "relay", f"ready at {remote.url}")]
    if ready.status != 200:
        findings = [
            Finding("fail", "relay", f"not ready: {failed or f'status {ready.status}'}", "Its log says why; events are refused until it is ready.")
        ]
    try:
        status: dict[str, Any] = remote.get("status")
    except exits.Failure as failure:
        return {}, [*findings, Finding("warn", "status", failure.message, failure.remedy)]
    return status, [*findings, *of_destinations(status.get("destinations", []), SystemClock().now())]


def of_destinations(destinations: Iterable[dict[str, Any]], now_s: float) -> list[Finding]:
    """Queue ages, dead letters, holds and the balance of each destination."""
    findings = []
    for one in destinations:
        slug, pending, dead = one["slug"], int(one.get("pending", 0)), int(one.get("dead", 0))
        age_s = max(0.0, now_s - one["oldest_s"]) if one.get("oldest_s") else 0.0
        detail = f"{one.get('state', '-')}, {pending:,} pending" + (f", oldest {show_span(age_s)}" if age_s else "") + f", {dead:,} dead"
        name = f"destination {slug}"
        if not one.get("balance_ok", True):
            findings.append(Finding("fail", name, f"{detail}; its books do not balance", "This is a bug in relay; send a bundle with the report."))
        elif one.get("state") == "held":
            findings.append(Finding("warn", name, f"{detail}; held: {one.get('hold_code') or '-'}", f"Mend the cause, then: relay resume {slug}"))
        elif one.get("state") == "breaker_open" or age_s > OLD_S:
            findings.append(Finding("warn", name, detail, f"Look at the receiver; relay dead ls --to {slug} shows what failed for good."))
        elif dead:
            findings.append(Finding("warn", name, detail, f"relay dead ls --to {slug}, then relay dead resend --to {slug}"))
        else:
            findings.append(Finding("ok", name, detail))
    return findings


def _pack(bundle: Path, found: Sequence[Finding], loaded: "Loaded | None", status: dict[str, Any]) -> list[str]:
    """Write the bundle; returns the names of what it contains."""
    from relay.cli.check import effective_lines
    from relay.cli.version import versions

    documents = {"doctor.json": [asdict(one) for one in found], "version.json": versions(), "status.json": _masked_status(status)}
    contents = {name: json.dumps(value, indent=2, default=str) for name, value in documents.items()}
    if loaded is not None:
        contents["config.toml"] = "\n".join(effective_lines(loaded)) + "\n"
    with bundle.open("xb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in contents.items():
            body = text.encode()
            entry = tarfile.TarInfo(f"relay-doctor/{name}")
            entry.size, entry.mode, entry.mtime = len(body), 0o600, int(SystemClock().now())
            archive.addfile(entry, io.BytesIO(body))
    return list(contents)


def _masked_status(status: dict[str, Any]) -> dict[str, Any]:
    """Without answer samples: they may quote a payload."""
    destinations = [{key: value for key, value in one.items() if key != "sample"} for one in status.get("destinations", [])]
    return status | {"destinations": destinations}
