"""Mappings as a CSV file, for a spreadsheet: written as they stand, and read back whole or not at all."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tasks.mapping import Entry, Wanted, left_blank
from worker.problems import Problem

COLUMNS = ("connection", "article_code", "product_code", "product_description")
_BEYOND = "beyond the columns"
#: A line break in a cell is most often a quote that was never closed.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadRowsError(Exception):
    """Rows that cannot be read.

    Attributes:
        sentences: one for each of them, which names its line.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = tuple(sentences)


def as_csv(entries: Iterable[Entry]) -> str:
    """The file's text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in entries:
        writer.writerow((each.connection, each.article_code, each.product_code or "", each.product_description or ""))
    return text.getvalue()


def read_csv(file: Path, connections: Mapping[str, int]) -> list[Wanted]:
    """The mappings of a file. Columns may be separated by semicolons, as spreadsheets of many countries do.

    Args:
        file: its first row names the columns, in any order.
        connections: ids of the rows, by name.

    Raises:
        Problem: the file cannot be read, or its columns are others.
        BadRowsError: rows of it are wrong.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Problem(f"{file} is no text in UTF-8: save it as CSV in UTF-8.") from None
    head, _, _ = text.partition("\n")
    lines_of = io.StringIO(text, newline="")
    delimiter = ";" if ";" in head else ","
    reader = csv.DictReader(lines_of, delimiter=delimiter, restkey=_BEYOND, restval="", strict=True)
    try:
        columns = [(name or "").strip() for name in reader.fieldnames or ()]
    except csv.Error:
        columns = []
    if sorted(columns) != sorted(COLUMNS):
        raise Problem(f"{file}: its first row must name the columns {', '.join(COLUMNS)}.")
    reader.fieldnames = columns
    wanted: list[Wanted] = []
    wrong: list[str] = []
    lines: dict[tuple[int, str], int] = {}
    for row in _readable(reader, file, wrong):
        line = reader.line_num
        why_not = _why_not(row, connections)
        if why_not is None:
            each = _wanted(row, connections)
            first = lines.setdefault((each.connection_id, each.article_code.casefold()), line)
            why_not = f"maps {each.article_code} of {row['connection'].strip()} again, as line {first} does"
            why_not = why_not if first != line else None
        if why_not is None:
            wanted.append(each)
        else:
            wrong.append(f"{file}, line {line}: {why_not}")
    if wrong:
        raise BadRowsError(wrong)
    return wanted


def _readable(reader: "csv.DictReader[str]", file: Path, wrong: list[str]) -> Iterator[dict[str, str]]:
    """The rows up to one whose quotes are wrong: nobody can say where that one ends."""
    line = reader.line_num
    try:
        for row in reader:
            yield row
            line = reader.line_num
    except csv.Error as error:
        wrong.append(f"{file}, after line {line}: a quote is not closed, or not doubled within a cell ({error})")


def _why_not(row: dict[str, str], connections: Mapping[str, int]) -> str | None:
    if _BEYOND in row:
        return f"has more than {len(COLUMNS)} columns"
    name, article, *product = cells = [row[column].strip() for column in COLUMNS]
    if any(_CONTROL.search(cell) for cell in cells):
        return "has a line break or another control character in a cell: close its quotes"
    if name not in connections:
        return f"{name or 'an empty name'} is no connection of the ledger, which knows {', '.join(connections)}"
    if not article:
        return "names no article"
    if not any(product):
        return "names no product: give its code, its description or both"
    return left_blank(article, *product)


def _wanted(row: dict[str, str], connections: Mapping[str, int]) -> Wanted:
    name, article, code, description = (row[column].strip() for column in COLUMNS)
    return Wanted(connections[name], article, code or None, description or None)
