"""`relay plan`: tracking plans as files (check, compare, convert, begin from a template) and what a running relay says about them."""

from pathlib import Path
from typing import Final

import click

from relay.cli import exits
from relay.cli.moments import show_moment
from relay.cli.output import Output, agree, output_options, printable
from relay.cli.plan_content import content_of, read_file, save, show_diff
from relay.cli.plan_traffic import drift, infer, test
from relay.cli.remote import Remote, part, remote_options

LOSSES_SHOWN: Final = 20

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration that slugs are looked up in; searched as `serve` does."
)


@click.group()
def plan() -> None:
    """Check, compare, convert and infer tracking plans.

    \b
    relay plan add ecommerce --to plans/shop.json --write
    relay plan infer web --since 7d
    """


@plan.command("ls")
@remote_options
@output_options
def ls(remote: Remote, out: Output) -> int:
    """List the plans of a running relay, with what broke them in the last day.

    \b
    relay plan ls
    relay plan ls --json
    """
    told = remote.get("plans")
    if out.json:
        out.document(told)
        return exits.DONE
    rows = [[one["slug"], str(one["rules"]), ", ".join(one["sources"]) or "-", str(one["violations_24h"]), one["file"]] for one in told["plans"]]
    if rows:
        out.table(["PLAN", "RULES", "SOURCES", "VIOLATIONS", "FILE"], rows)
    else:
        out.talk("No plan is configured: add one with [[plan]]; `relay plan add --list` shows what to begin with.")
    return exits.DONE


@plan.command("show")
@click.argument("slug")
@remote_options
@output_options
def show(slug: str, remote: Remote, out: Output) -> int:
    """Show the rules of a plan: how often each was met and broken in the last day, who owns it and what it is for.

    \b
    relay plan show shop
    relay plan show shop --json
    """
    told = remote.get(f"plans/{part(slug)}")
    if out.json:
        out.document(told)
        return exits.DONE
    rows = []
    for one in told["rules"]:
        met = [f"{one['seen_24h']:,}", show_moment(one["last_seen_s"]), str(one["violations_24h"])]
        rows.append([one["type"], one["key"] or "-", f"{one['version']:g}", *met, one["owner"], one["why"]])
    out.table(["TYPE", "EVENT", "VERSION", "SEEN", "LAST", "VIOLATIONS", "OWNER", "WHY"], rows)
    out.talk(f"{told['file']}: {exits.count_of(len(rows), 'rule')}, for {', '.join(told['sources']) or 'no source'}.")
    return exits.DONE


@plan.command("check", epilog="Exit: 0 good, 78 the plan is wrong.")
@click.argument("file", type=click.Path(path_type=Path))
@output_options
def check(file: Path, out: Output) -> int:
    """Validate a plan's file (JSON or CSV): every mistake with its line.

    \b
    relay plan check plans/shop.json
    relay plan check shop.csv --json
    """
    from relay.cli.check import problem_json
    from relay.config.settings import format_problems
    from relay.errors import ConfigError

    try:
        rules, problems = len(read_file(file)["rules"]), []
    except ConfigError as error:
        rules, problems = 0, error.problems
    if out.json:
        out.document({"ok": not problems, "rules": rules, "errors": [problem_json(problem) for problem in problems]})
    elif problems:
        click.echo(format_problems(problems).rstrip("\n"), err=True)
    else:
        out.talk(f"{file}: {exits.count_of(rules, 'rule')}; the plan is good.")
    return exits.CONFIG_WRONG if problems else exits.DONE


@plan.command("diff", epilog="Exit: 0 the same, 1 they differ.")
@click.argument("a")
@click.argument("b")
@config_option
@output_options
def diff(a: str, b: str, config: Path | None, out: Output) -> int:
    """Compare two plans, each given by its slug or its file. Order and layout do not count.

    \b
    relay plan diff shop plans/next.json
    relay plan diff old.json new.csv --json
    """
    from relay.workspace.plan_files import diff_plans, differs

    found = diff_plans(content_of(a, config), content_of(b, config))
    if out.json:
        out.document(found)
    else:
        show_diff(found, out)
    return exits.PROBLEMS if differs(found) else exits.DONE


@plan.command("export")
@click.argument("source", metavar="SLUG|FILE")
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True, help="The form.")
@config_option
@output_options
def export(source: str, form: str, config: Path | None, out: Output) -> int:
    """Print a plan as JSON in its one stable order, or as a table for a spreadsheet.

    \b
    relay plan export shop > shop.json
    relay plan export plans/shop.json --format csv > shop.csv
    """
    from relay.workspace.plan_files import to_json
    from relay.workspace.plan_sheet import losses, to_csv

    content = content_of(source, config)
    if form == "csv":
        lost = losses(content)
        for one in lost[:LOSSES_SHOWN]:
            out.warn(f"a table cannot say: {one}")
        if len(lost) > LOSSES_SHOWN:
            out.warn(f"... and {len(lost) - LOSSES_SHOWN} more")
    text = to_json(content) if form == "json" else to_csv(content)
    if out.json and form == "csv":
        out.document({"csv": text, "losses": losses(content)})
    else:
        click.echo(text, nl=False)
    return exits.DONE


@plan.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The plan's JSON file.")
@click.option("--yes", is_flag=True, help="Do not ask when the file is there already.")
@output_options
def import_(file: Path, target: Path, yes: bool, out: Output) -> int:
    """Make a plan's JSON file of a table; mistakes are told by row and column.

    \b
    relay plan import shop.csv --to plans/shop.json
    relay plan import shop.csv --to plans/shop.json --yes
    """
    content = read_file(file)
    before = read_file(target) if target.exists() else {"rules": []}
    if target.exists():
        agree(f"Put the rules of {file} in place of those of {target}?", yes=yes)
    return save(target, before, content, out, write=True)


@plan.command("add")
@click.argument("name", metavar="TEMPLATE", required=False)
@click.option(
    "--to", "target", type=click.Path(path_type=Path), metavar="FILE", help="The plan's file; left out: that of the one plan that is configured."
)
@click.option("--list", "listing", is_flag=True, help="List the templates.")
@click.option("--write", is_flag=True, help="Write the file; without it the difference is only shown.")
@config_option
@output_options
def add(name: str | None, target: Path | None, listing: bool, write: bool, config: Path | None, out: Output) -> int:
    """Add the rules of a template (the spec's semantic events, the reserved traits) to a plan; rules that it has stay as they are.

    \b
    relay plan add --list
    relay plan add ecommerce --to plans/shop.json --write
    """
    from relay.workspace import templates
    from relay.workspace.plan_files import merged

    if listing:
        return _list_templates(out)
    if name is None:
        raise click.UsageError("Name a template, or use --list.")
    if name not in templates.names():
        raise exits.Failure(exits.NO_MATCH, f"there is no template {name!r}", f"There are: {', '.join(templates.names())}.")
    target = target or _only_plan(config)
    before = read_file(target) if target.exists() else {"rules": []}
    return save(target, before, merged(before, templates.template(name)["rules"]), out, write=write)


@plan.command("history")
@click.argument("slug")
@click.option("--between", nargs=2, type=int, metavar="FROM TO", help="Two workspace versions: how the plan differs between them.")
@remote_options
@output_options
def history(slug: str, between: tuple[int, int] | None, remote: Remote, out: Output) -> int:
    """Tell when a plan changed, by whom, and what.

    \b
    relay plan history shop
    relay plan history shop --between 3 7
    """
    since, until = between or (None, None)
    told = remote.get(f"plans/{part(slug)}/history", since=since, until=until)
    if out.json:
        out.document(told)
    elif between:
        show_diff(told["diff"], out)
    else:
        for one in told["versions"]:
            out.line(printable(f"version {one['version']}  {show_moment(one['at_s'])}  {one['by']}  {exits.count_of(one['rules'] or 0, 'rule')}"))
            show_diff(one["diff"], out, indent="  ")
    return exits.DONE


for _command in (infer, drift, test):
    plan.add_command(_command)


def _list_templates(out: Output) -> int:
    from relay.workspace import templates

    found = [(name, templates.template(name)) for name in templates.names()]
    if out.json:
        shown = [{"name": name, "title": one["name"], "description": one["description"], "rules": len(one["rules"])} for name, one in found]
        out.document({"templates": shown})
    else:
        out.table(["TEMPLATE", "RULES", "WHAT"], [[name, str(len(one["rules"])), one["description"]] for name, one in found])
    return exits.DONE


def _only_plan(config: Path | None) -> Path:
    from relay.cli.check import read

    loaded, _ = read(config)
    plans = loaded.workspace.plans
    if len(plans) != 1:
        known = ", ".join(one.slug for one in plans) or "none"
        raise exits.Failure(exits.USAGE, "which plan is meant?", f"Name its file with --to; plans that are configured: {known}.")
    return Path(plans[0].file)
