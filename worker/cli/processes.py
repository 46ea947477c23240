"""The processes, and what is done once before they run."""

import sys
from typing import Annotated

import typer

from worker.cli.shared import AsJson, app, database, finish, load, show
from worker.problems import Problem

_QUESTIONS = {
    "name": "Name of the connection (a-z, 0-9 and -)",
    "time_zone": "Time zone of the Komet company, such as America/New_York",
    "company_code": "Your name for the Komet company, such as MIA",
    "axerrio_url": "Address of Axerrio's adapter, such as https://axerrio.example",
    "tenant": "Axerrio's tenant (Enter: it has none)",
}
_MAY_BE_LEFT_OUT = ("tenant",)
Check = Annotated[
    bool, typer.Option("--check", help="Run none: say whether the one of this machine is at work. Exit 1 where not.")
]


@app.command()
def up(
    flower: Annotated[bool, typer.Option(help="Run Flower too.")] = True,
) -> None:
    """Run everything: services that are not set, worker, beat, metrics, Flower. Example: axkomet up --no-flower."""
    from worker.up import run_up

    run_up(load(), flower=flower)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")] = False,
) -> None:
    """A day's orders through a simulated Komet and Axerrio, with faults, judged at the end. Example: axkomet demo."""
    from worker.demo.run import run_demo

    finish(run_demo(keep=keep))


@app.command()
def worker(check: Check = False) -> None:
    """Run one worker. Example: axkomet worker."""
    from worker.settings import resolve_services

    settings = load()
    urls = resolve_services(settings)
    if check:
        from worker.at_work import check_worker

        check_worker(settings, urls)
    else:
        from worker.app import run_worker

        run_worker(settings, urls)


@app.command()
def beat(check: Check = False) -> None:
    """Run one beat, which only ticks; any number may run. Example: axkomet beat."""
    from worker.assembly import open_services

    settings = load()
    urls, ledger = open_services(settings)
    if check:
        from worker.at_work import check_beat

        check_beat(settings, ledger)
    else:
        from worker.app import run_beat

        ledger.engine.dispose()
        run_beat(settings, urls)


@app.command()
def flower(check: Check = False) -> None:
    """Run Flower, with a password. Example: axkomet flower."""
    from worker.assembly import open_services

    settings = load()
    if check:
        from worker.at_work import check_flower

        check_flower(settings)
    else:
        from worker.app import run_flower

        urls, ledger = open_services(settings)
        ledger.engine.dispose()
        run_flower(settings, urls)


@app.command()
def metrics(check: Check = False) -> None:
    """Serve what `status` says as metrics for Prometheus. Example: axkomet metrics."""
    from worker.assembly import open_services

    settings = load()
    if check:
        from worker.at_work import check_metrics

        check_metrics(settings)
    else:
        from worker.metrics import run_metrics

        urls, ledger = open_services(settings)
        ledger.engine.dispose()
        run_metrics(settings, urls)


@app.command()
def sandbox(
    komet_port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8801,
    axerrio_port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8802,
) -> None:
    """Run the simulated Komet and Axerrio, with their control interface. Example: axkomet sandbox --komet-port 0."""
    from sandbox.server import run

    try:
        run(komet_port, axerrio_port)
    except OSError as error:
        raise Problem(f"The sandbox cannot listen on its ports ({error.strerror}): choose others, or 0.") from None


@app.command()
def init(
    name: Annotated[str | None, typer.Option(help="Of the connection: a-z, 0-9 and -, such as miami.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of the Komet company, such as America/New_York.")] = None,
    company_code: Annotated[str | None, typer.Option(help="Your name for the Komet company, such as MIA.")] = None,
    axerrio_url: Annotated[str | None, typer.Option(help="Address of Axerrio's adapter.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Axerrio's tenant, where it has any.")] = None,
    komet_url: Annotated[str, typer.Option(help="Address of Komet's API.")] = "https://api.kometsales.com/api",
    as_json: AsJson = False,
) -> None:
    """Write a commented connections file and an .env, from questions or from options; overwrites nothing.

    Example: axkomet init --name miami --time-zone America/New_York --company-code MIA
    --axerrio-url https://axerrio.example --tenant farm1
    """
    from worker.init import Answers, check_new, variable, write_files
    from worker.settings import ENV_FILE

    settings = load()
    check_new(settings.connections)
    has_env = ENV_FILE.exists()
    asked = {
        "name": name,
        "time_zone": time_zone,
        "company_code": company_code,
        "axerrio_url": axerrio_url,
        "tenant": tenant,
    }
    missing = [each for each, given in asked.items() if not given and each not in _MAY_BE_LEFT_OUT]
    tokens = {}
    if missing and not sys.stdin.isatty():
        options = ", ".join(f"--{each.replace('_', '-')}" for each in missing)
        raise Problem(f"Nobody is there to ask: give {options}.")
    if missing:
        for each in (*missing, *(each for each in _MAY_BE_LEFT_OUT if asked[each] is None)):
            default = "" if each in _MAY_BE_LEFT_OUT else None
            asked[each] = typer.prompt(_QUESTIONS[each], default=default, show_default=False, err=True)
        for system in () if has_env else ("Komet", "Axerrio"):
            question = f"{system}'s token (Enter: fill it in later)"
            tokens[f"{system.lower()}_token"] = typer.prompt(question, default="", hide_input=True, err=True)
    answers = Answers(komet_url=komet_url, **{each: (word or "").strip() for each, word in (asked | tokens).items()})
    written = [str(file) for file in write_files(answers, settings.connections)]
    show({"written": written}, as_json, lambda _: "\n".join(f"{file} written" for file in written))
    if has_env:
        names = " and ".join(variable(system, answers.name) for system in ("KOMET", "AXERRIO"))
        typer.echo(f"{ENV_FILE} is there already and stays as it is: add {names} to it by hand.", err=True)
    typer.echo("Next: fill in tokens and buyers, then `axkomet up`, and in another terminal `axkomet check`.", err=True)


@database.command()
def upgrade(as_json: AsJson = False) -> None:
    """Bring the ledger's schema to this version. Example: axkomet db upgrade."""
    from worker.settings import resolve_services
    from worker.up import migrate

    version = migrate(resolve_services(load()).database_url)
    show({"schema": version}, as_json, lambda _: f"The schema, of version {version}, serves this program.")
