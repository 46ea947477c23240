"""Mappings go out as CSV and come back, whole or not at all."""

import json
import subprocess

import pytest
from sqlalchemy import select

from models.tables import Mapping
from tests.cli.conftest import Shell
from tests.cli.test_mapping import due_of, wait_for
from tests.sync.conftest import Ledger
from worker.supervisor import axkomet_command

HEAD = "connection,article_code,product_code,product_description"


def write(shell: Shell, text: str, encoding: str = "utf-8") -> None:
    (shell.folder / "mappings.csv").write_text(text, encoding)


def mapped(ledger: Ledger) -> set[tuple[str, str | None, str | None]]:
    with ledger.session() as session:
        return {
            (each.article_code, each.product_code, each.product_description)
            for each in session.scalars(select(Mapping))
        }


def test_what_is_written_is_read_back(shell: Shell, ledger: Ledger) -> None:
    order = wait_for(ledger, "TULIP")
    text = f'{HEAD}\nmiami,LILY,,"Lily, white ""Siberia"""\nmiami,TULIP,TUL01,\n'
    write(shell, text)
    done = shell.run("mapping", "import", "mappings.csv")
    assert done.returncode == 0, done
    assert done.stdout == "2 mapping(s) read, 2 of them new or changed; 1 order(s) released.\n"
    assert due_of(ledger) == {order}
    assert mapped(ledger) == {("LILY", None, 'Lily, white "Siberia"'), ("TULIP", "TUL01", None)}
    done = shell.run("mapping", "export")
    assert (done.returncode, done.stdout) == (0, text)
    assert shell.run("mapping", "export", "--connection", "miami").stdout == text
    assert json.loads(shell.run("mapping", "export", "--json").stdout) == [
        dict(zip(HEAD.split(","), row, strict=True))
        for row in (("miami", "LILY", None, 'Lily, white "Siberia"'), ("miami", "TULIP", "TUL01", None))
    ]
    again = shell.run("mapping", "import", "mappings.csv")
    assert again.stdout == "2 mapping(s) read, 0 of them new or changed; 1 order(s) released.\n"
    lily, tulip = json.loads(shell.run("mapping", "import", "mappings.csv", "--json").stdout)
    assert (lily["article_code"], lily["changed"], lily["released"]) == ("LILY", False, [])
    assert (tulip["product_code"], tulip["released"]) == ("TUL01", [order])


def test_as_a_spreadsheet_saves_it(shell: Shell, ledger: Ledger) -> None:
    """Semicolons, another order of columns, a mark at the beginning, and spaces."""
    write(shell, "article_code;product_code;product_description;connection\r\n LILY ;LIL01;;miami\r\n", "utf-8-sig")
    assert shell.run("mapping", "import", "mappings.csv").returncode == 0
    assert mapped(ledger) == {("LILY", "LIL01", None)}


def test_each_wrong_row_is_named_and_nothing_is_imported(shell: Shell, ledger: Ledger) -> None:
    rows = [
        "miami,LILY,LIL01,",
        "lima,LILY,LIL01,",
        "miami,,LIL01,",
        "miami,ROSE,,",
        'miami,TULIP,,"two',
        'lines"',
        "miami,lily,OTHER,",
        "miami,IRIS,IRI01,,,more",
    ]
    write(shell, "\n".join([HEAD, *rows]) + "\n")
    done = shell.run("mapping", "import", "mappings.csv")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "axkomet: mappings.csv, line 3: lima is no connection of the ledger, which knows miami.",
        "axkomet: mappings.csv, line 4: names no article.",
        "axkomet: mappings.csv, line 5: names no product: give its code, its description or both.",
        "axkomet: mappings.csv, line 7: has a line break or another control character in a cell: close its quotes.",
        "axkomet: mappings.csv, line 8: maps lily of miami again, as line 2 does.",
        "axkomet: mappings.csv, line 9: has more than 4 columns.",
        "axkomet: 6 row(s) are wrong, so nothing of mappings.csv was imported.",
    ]
    assert mapped(ledger) == set()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('miami,LILY,LIL01,\nmiami,TULIP,"TUL01,\nmiami,ROSE,ROS01,\n', "line 2: a quote is not closed"),
        ('miami,LILY,LIL01,\nmiami,TULIP,"TUL01,' + "\nmiami,ROSE,ROS01," * 10_000, "line 2: a quote is not closed"),
        ('miami,TULIP,"TUL"01,\n', "line 1: a quote is not closed, or not doubled within a cell"),
        ("miami,TULIP,TUL\0001,\n", "line 2: has a line break or another control character"),
        ("miami,TULIP,…,\n", "line 2: still has its blank: put Komet's code in place of …"),
        ("miami,…,TUL01,\n", "line 2: still has its blank: put Axerrio's code in place of …"),
    ],
    ids=["unclosed", "unclosed, and long", "not doubled", "NUL", "blank product", "blank article"],
)
def test_a_row_that_cannot_be_meant(shell: Shell, ledger: Ledger, rows: str, said: str) -> None:
    write(shell, f"{HEAD}\n{rows}")
    done = shell.run("mapping", "import", "mappings.csv")
    assert done.returncode == 2, done
    sentence, whole = done.stderr.splitlines()
    assert said in sentence
    assert "so nothing of mappings.csv was imported" in whole
    assert mapped(ledger) == set()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, 2, "mappings.csv cannot be read: No such file or directory"),
        ("", 2, "its first row must name the columns connection, article_code"),
        ("connection,article\nmiami,LILY\n", 2, "its first row must name the columns"),
        ('"' + HEAD + "\n", 2, "its first row must name the columns"),
        (HEAD + "\n", 3, "mappings.csv holds no mapping"),
    ],
)
def test_mistakes(shell: Shell, ledger: Ledger, text: str | None, code: int, said: str) -> None:
    if text is not None:
        write(shell, text)
    assert said in shell.complaint(code, "mapping", "import", "mappings.csv")
    assert mapped(ledger) == set()


def test_it_comes_by_standard_input(shell: Shell, ledger: Ledger) -> None:
    """As the guide has it for containers, which do not see the file."""
    command = axkomet_command("mapping", "import", "/dev/stdin")
    text = f"{HEAD}\nmiami,LILY,LIL01,\n".encode()
    done = subprocess.run(command, cwd=shell.folder, env=shell.env, input=text, capture_output=True)
    assert done.returncode == 0, done
    assert mapped(ledger) == {("LILY", "LIL01", None)}


def test_another_encoding(shell: Shell, ledger: Ledger) -> None:
    write(shell, f"{HEAD}\nmiami,LILY,,Lírio\n", "latin-1")
    assert "is no text in UTF-8" in shell.complaint(2, "mapping", "import", "mappings.csv")
    assert mapped(ledger) == set()
