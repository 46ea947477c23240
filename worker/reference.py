"""`python -m worker.reference`: writes into the docs what code and locks say: settings, commands, states, licences."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer import Context
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from clients.axerrio.settings import AxerrioSettings
from clients.komet.settings import KometSettings
from models.states import FINAL, MOVES, PROGRESS, REFUSED, WAITING, OrderState
from tasks.connection import ConnectionSettings
from worker import cli
from worker.licences import DEVELOP_LOCK, ROOT, RUN_LOCK, licence_of, locked
from worker.metrics import Facts, figures
from worker.problems import Exit
from worker.settings import ENV_PREFIX, Settings

DOCS = ROOT / "docs"
#: The boxes of the drawing: a name, and the states in it.
_GROUPS = {
    "progress": PROGRESS,
    "cancelling": (OrderState.CANCELLING,),
    "waits": WAITING,
    "ended": FINAL,
}


def sections() -> dict[str, dict[str, str]]:
    """What is generated, in Markdown, by page and section."""
    return {
        "reference/settings.md": {"settings": _fields(Settings.model_fields, ENV_PREFIX)},
        "reference/connections.md": {
            "connection": _fields(ConnectionSettings.model_fields),
            "connection.komet": _fields(KometSettings.model_fields),
            "connection.axerrio": _fields(AxerrioSettings.model_fields),
        },
        "reference/commands.md": {"exit codes": _exit_codes(), "commands": "\n\n".join(_commands())},
        "reference/licences.md": {
            "run": _licences(locked(RUN_LOCK)),
            "develop": _licences(sorted(set(locked(DEVELOP_LOCK)) - set(locked(RUN_LOCK)))),
        },
        "reference/metrics.md": {"metrics": _metrics()},
        "reference/states.md": {"drawing": _drawing(), "moves": _moves(), "refused": _refused()},
    }


def put(text: str, section: str, body: str) -> str:
    """A page with another body between the two comments that name a section.

    Args:
        text: of the page.
        section: as the comments name it: `<!-- section -->` and `<!-- /section -->`.
        body: Markdown.

    Raises:
        ValueError: the page has no such section, or several.
    """
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    whole = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, count = whole.subn(lambda _: f"{begin}\n{body.strip()}\n{end}", text)
    if count != 1:
        raise ValueError(f"{count} sections {section}")
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _fields(fields: Mapping[str, FieldInfo], prefix: str = "") -> str:
    names = {name: f"{prefix}{name}".upper() if prefix else name for name in fields}
    rows = [(f"`{names[name]}`", _default(each), _unwrapped(each.description or "")) for name, each in fields.items()]
    return table(("setting", "default", "what for"), rows)


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "must be given"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if isinstance(value, dict | BaseModel) else f"`{value}`"


def _metrics() -> str:
    """Names, types, labels and what they say."""
    rows = [
        (f"`{each.name}`", each.type, ", ".join(vars(each)["_labelnames"]), each.documentation)
        for each in figures(Facts())
    ]
    return table(("metric", "type", "labels", ""), rows)


def _licences(packages: Iterable[str]) -> str:
    return table(("package", "licence"), [(f"`{each}`", licence_of(each)) for each in packages])


def _exit_codes() -> str:
    return table(("code", "a command ends with it when"), [(code.value, code.says) for code in Exit])


def _commands() -> Iterator[str]:
    """A part for each command: how it is typed, what it does, its arguments and options."""
    whole = get_command(cli.app)
    assert isinstance(whole, TyperGroup)  # noqa: S101 - it has many commands
    for words, command in _leaves("axkomet", whole):
        context = Context(command, info_name=words)
        said = "\n\n".join(map(_unwrapped, (command.help or "").split("\n\n")))
        records = [each.get_help_record(context) for each in command.params if each.name != "help"]
        rows = [(f"`{name}`", what) for name, what in filter(None, records)]
        yield f"### `{words}`\n\n{said}\n\n" + (table(("", ""), rows) if rows else "It takes nothing.")


def _leaves(words: str, group: TyperGroup) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _leaves(f"{words} {name}", command)
        elif isinstance(command, TyperCommand):
            yield f"{words} {name}", command


def _drawing() -> str:
    """The moves between groups of states, each with all that leads there."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for move in MOVES:
        for before in _groups_of(move.before):
            for after in _groups_of(move.after):
                if before != after:
                    arrows.setdefault((before, after), []).append(move.when)
    lines = ["stateDiagram-v2", "    [*] --> progress", '    state "in progress" as progress {']
    lines += [f"        {one} --> {two}" for one, two in pairwise(PROGRESS)]
    lines += ["    }", '    state "waits for a person" as waits {', *(f"        {state}" for state in WAITING), "    }"]
    lines += ['    state "at its end" as ended {', *(f"        {state}" for state in FINAL), "    }"]
    lines += [
        f"    {before} --> {after}: {' / '.join(dict.fromkeys(when))}" for (before, after), when in arrows.items()
    ]
    return "\n".join(["```mermaid", *lines, "```"])


def _groups_of(states: Iterable[OrderState]) -> list[str]:
    return [name for name, group in _GROUPS.items() if not set(group).isdisjoint(states)]


def _moves() -> str:
    def named(states: Iterable[OrderState]) -> str:
        return ", ".join(f"`{state}`" for state in states)

    return table(("from one of", "to another of", "when"), [(named(b), named(a), when) for b, a, when in MOVES])


def _refused() -> str:
    rows = [
        (f"`{state}`", *(f"no, it {refused[state]}" if state in refused else "yes" for refused in REFUSED.values()))
        for state in OrderState
    ]
    return table(("an order that is", *(f"`{command}`" for command in REFUSED)), rows)


def main() -> None:
    """Write all sections."""
    for page, bodies in sections().items():
        file = DOCS / page
        text = file.read_text("utf-8")
        for section, body in bodies.items():
            text = put(text, section, body)
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
