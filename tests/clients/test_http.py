import gzip
import html
import itertools
import json
import logging
import re
import socket
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from clients.errors import ClientError, NoBudget, NotSent, RefusalKind, Refused, Unanswered
from clients.http import Answer, Ended, HttpCore, OpenGate, json_text, parse_json
from models.canonical import Json
from tests.clients.sockets import (
    Behaviour,
    answering,
    closing,
    cutting,
    dripping,
    itself,
    resetting,
    response,
    serving,
    silent,
)

TOKEN = "s3cret-t0ken/with+signs"


@contextmanager
def core_to(url: str, *, timeout: float = 2.0, max_bytes: int = 20_000_000) -> Iterator[HttpCore]:
    core = HttpCore("komet", url, timeout=timeout, gate=OpenGate(), secret=TOKEN, max_bytes=max_bytes)
    try:
        yield core
    finally:
        core.close()


def ask(core: HttpCore, *, write: bool = True, before_send: Callable[[], None] | None = None) -> Answer:
    return core.call(
        "prebook.create",
        "POST" if write else "GET",
        "prebook.create",
        itself,
        params={"authenticationToken": TOKEN},
        body=b'{"authenticationToken":"s3cret"}' if write else None,
        headers={"x-token": TOKEN},
        write=write,
        before_send=before_send,
    )


def shown(error: BaseException) -> str:
    """All that a log could show of an error, its whole chain included."""
    parts, seen = [], error
    chain: list[BaseException] = []
    while seen is not None and seen not in chain:
        chain.append(seen)
        parts += [str(seen), repr(seen), repr(vars(seen)), "".join(traceback.format_exception(seen))]
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return "\n".join(parts)


def fails(kind: type[ClientError], behave: Behaviour, **options: Any) -> ClientError:
    with serving(behave) as server, core_to(server.url, **options) as core:
        began = time.monotonic()
        with pytest.raises(kind) as caught:
            ask(core)
        assert time.monotonic() - began < options.get("timeout", 2.0) + 0.5
        assert server.connections == 1, "no call is repeated"
        assert TOKEN not in shown(caught.value)
        return caught.value


class TestAnswers:
    def test_reads_json_exactly(self) -> None:
        body = '{"cost": 0.10, "id": 123456789012345678901, "text": "a\\u0000b\\ud800"}'
        with serving(answering(body, Date="Tue, 24 Nov 2026 10:00:00 GMT")) as server, core_to(server.url) as core:
            answer = ask(core)
        assert answer.payload == {"cost": Decimal("0.10"), "id": 123456789012345678901, "text": "a\ufffdb\ufffd"}
        assert str(answer.payload["cost"]) == "0.10"
        assert answer.served_at == datetime(2026, 11, 24, 10, tzinfo=UTC)
        assert answer.headers["content-length"] == str(len(body))

    def test_sends_what_it_is_given(self) -> None:
        with serving(answering("{}")) as server, core_to(server.url + "/api/") as core:
            ask(core)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /api/prebook.create?authenticationToken=s3cret-t0ken%2Fwith%2Bsigns HTTP/1.1")
        assert b"content-type: application/json" in head.lower()
        assert body == b'{"authenticationToken":"s3cret"}'

    def test_keeps_a_connection_for_many_calls_and_no_cookie(self) -> None:
        with serving(answering("{}", Set_Cookie="a=b")) as server, core_to(server.url) as core:
            for _ in range(3):
                ask(core)
        assert server.connections == 1
        assert all(b"cookie" not in each.lower() for each in server.requests)

    def test_serves_many_threads_at_once(self) -> None:
        def slowly(connection: socket.socket) -> None:
            time.sleep(0.1)
            connection.sendall(response("{}"))

        with serving(slowly) as server, core_to(server.url) as core, ThreadPoolExecutor(16) as threads:
            began = time.monotonic()
            assert len(list(threads.map(lambda _: ask(core), range(32)))) == 32
            assert time.monotonic() - began < 1.5
        assert len(server.requests) == 32

    def test_gives_a_4xx_with_json(self) -> None:
        with serving(answering('{"message":"no"}', "422 No")) as server, core_to(server.url) as core:
            assert ask(core).status == 422

    def test_a_204_has_no_body_and_leaves_the_connection_in_order(self) -> None:
        nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
        with serving(lambda connection: connection.sendall(nothing)) as server, core_to(server.url) as core:
            assert [ask(core).status for _ in range(2)] == [204, 204]
            assert ask(core).payload is None
        assert server.connections == 1

    @pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "DEFLATE"), (bytes, "")])
    def test_reads_what_was_packed_unasked(self, pack: Callable[[bytes], bytes], encoding: str) -> None:
        behave = answering(pack(b'{"status":1}'), Content_Encoding=encoding)
        with serving(behave) as server, core_to(server.url) as core:
            assert ask(core).payload == {"status": 1}

    @pytest.mark.parametrize(
        "form",
        [
            str,
            json.dumps,
            quote,
            lambda token: quote(token, safe=""),
            lambda token: quote(token, safe="").lower(),
            lambda token: quote(quote(token, safe=""), safe=""),
            html.escape,
            lambda token: "".join(f"&#{ord(each)};" if not each.isalnum() else each for each in token),
            lambda token: token.replace("/", r"\/").replace("+", r"\u002B"),
        ],
    )
    def test_a_token_that_is_repeated_reaches_nobody(self, form: Callable[[str], str]) -> None:
        """Records are stored, and what cannot be read is stored as it came."""
        token = "s3cret-t0ken/with+'signs'<%20>\"and&words"
        said = f"the token is {form(token)}!"
        body = json_text({"orders": [{"comments": said}], said: 1})
        with serving(answering(body, X_Echo=f"Bearer {token}")) as server:
            core = HttpCore("komet", server.url, timeout=2.0, gate=OpenGate(), secret=token)
            answer = ask(core)
            core.close()
        assert answer.payload["orders"][0]["comments"].replace('"', "") == "the token is …!"
        assert not re.search("t0ken|words", repr(answer))

    def test_a_short_token_takes_nothing_out_of_an_order(self) -> None:
        with serving(answering('{"code":"RFREE50"}')) as server:
            core = HttpCore("komet", server.url, timeout=2.0, gate=OpenGate(), secret="FREE")
            assert ask(core).payload == {"code": "RFREE50"}
            core.close()

    @pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2026 10:00:00 GMT"])
    def test_bears_a_broken_clock(self, date: str) -> None:
        with serving(answering("{}", Date=date)) as server, core_to(server.url) as core:
            assert ask(core).served_at is None


class TestUnanswered:
    """The request may have arrived."""

    @pytest.mark.parametrize(
        "behave",
        [
            silent,
            dripping(response('{"status":1}' + " " * 500), 0.05),
            dripping(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 500, 0.05),
        ],
        ids=["silent", "dripping body", "dripping headers"],
    )
    def test_the_deadline_holds_for_the_whole_call(self, behave: Behaviour) -> None:
        error = fails(Unanswered, behave, timeout=0.6)
        assert "within 0.6 s" in error.detail

    @pytest.mark.parametrize(
        "behave",
        [
            closing,
            resetting,
            cutting(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            cutting(b"HTTP/1.1 200 OK\r\nContent-"),
            cutting(b"\x16\x03\x01 garbage\r\n\r\n"),
            answering("<html>nginx</html>", "500 Oops"),
            answering('{"status":0,"message":"no"}', "500 Oops"),
            answering('{"status":1}', "503 Later"),
            answering('{"status":1}', "302 Moved", Location="http://127.0.0.1:1/"),
            answering('{"status":1}', "408 Time"),
            answering('{"status":1}', "425 Early"),
            answering("<html>welcome</html>"),
            answering(""),
            answering('{"status":1,'),
            answering(b'{"a":"\xff"}'),
            answering("[" * 100_000),
            answering("[" * 400 + "]" * 400),
            answering("1" * 5000),
            answering("1e" + "9" * 30),
            answering("0." + "1" * 5000),
            answering("{}", Content_Encoding="br"),
            answering("{}", Content_Encoding="gzip"),
            answering(gzip.compress(b"{}")[:-9], Content_Encoding="gzip"),
            answering(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"),
        ],
    )
    def test_no_usable_answer(self, behave: Behaviour) -> None:
        assert type(fails(Unanswered, behave)) is Unanswered

    def test_the_deadline_holds_while_sending(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # takes the connection and reads nothing
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with core_to(url, timeout=0.5) as core:
                began = time.monotonic()
                with pytest.raises(Unanswered, match=r"within 0\.5 s"):
                    core.call("x", "POST", "x", itself, body=b" " * 30_000_000, write=True)
                assert time.monotonic() - began < 1.0

    def test_an_answer_that_is_too_long(self) -> None:
        assert "1000 bytes" in fails(Unanswered, answering('"' + "x" * 5000 + '"'), max_bytes=1000).detail

    def test_a_packed_answer_is_unpacked_no_further_than_it_may_be_long(self) -> None:
        """A few kilobytes may unfold to gigabytes."""
        bomb, most = gzip.compress(b" " * 20_000_000), 1_000_000
        with serving(answering(bomb, Content_Encoding="gzip")) as server, core_to(server.url, max_bytes=most) as core:
            tracemalloc.start()
            try:
                with pytest.raises(Unanswered, match="more than 1000000 bytes"):
                    ask(core)
                assert tracemalloc.get_traced_memory()[1] < 8_000_000
            finally:
                tracemalloc.stop()

    def test_small_values_are_counted_before_they_fill_the_memory(self) -> None:
        tracemalloc.start()
        try:
            fails(Unanswered, answering(b"[" + b"{}," * 3_000_000 + b"{}]"), timeout=5.0)
            assert tracemalloc.get_traced_memory()[1] < 80_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        "endless",
        [b"x" * 8000, b"X-More: 1\r\n" * 800, b"X-Long: " + b"x" * 8000, b"Transfer-Encoding: chunked\r\n\r\n"],
        ids=["no header", "headers", "header", "chunks"],
    )
    def test_an_answer_without_end(self, endless: bytes) -> None:
        def behave(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            connection.sendall(endless)
            while True:
                connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n" if endless.endswith(b"\r\n\r\n") else endless)

        began = time.monotonic()
        fails(Unanswered, behave, timeout=10.0, max_bytes=3_000_000)
        assert time.monotonic() - began < 5.0, "it ends by its size, long before the deadline"

    def test_an_answer_before_its_question_is_never_taken_for_it(self) -> None:
        """What a server sends beyond its answer would otherwise answer the next call, and that one the call after."""
        number = itertools.count(1)

        def twice(connection: socket.socket) -> None:
            connection.sendall(response(f'{{"answer":{next(number)}}}') + response('{"nobody":"asked"}'))

        with serving(twice) as server, core_to(server.url) as core:
            assert [ask(core).payload for _ in range(3)] == [{"answer": each} for each in (1, 2, 3)]
        assert server.connections == 3

    def test_a_connection_closed_while_idle(self) -> None:
        def once(connection: socket.socket) -> None:
            connection.sendall(response("{}"))
            closing(connection)

        with serving(once) as server, core_to(server.url) as core:
            ask(core)
            time.sleep(0.1)
            ask(core)  # seen as closed before it is used
        assert server.connections == 2


class TestNotSent:
    """Surely nothing left this machine."""

    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with core_to(f"http://127.0.0.1:{port}") as core, pytest.raises(NotSent, match="refused") as caught:
            ask(core)
        assert TOKEN not in shown(caught.value)

    @pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".invalid"])
    def test_no_such_name(self, host: str) -> None:
        with core_to(f"http://{host}") as core, pytest.raises(NotSent) as caught:
            ask(core)
        assert TOKEN not in shown(caught.value)

    def test_connecting_takes_too_long(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:  # fill the queue, so that the next one is not accepted
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
            with core_to(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.4) as core:
                began = time.monotonic()
                with pytest.raises(NotSent):
                    ask(core)
                assert time.monotonic() - began < 1.5
            for each in waiting:
                each.close()

    def test_no_tls(self) -> None:
        with (
            serving(answering("{}")) as server,
            core_to(server.url.replace("http:", "https:"), timeout=0.5) as core,
            pytest.raises(NotSent),
        ):
            ask(core)

    def test_time_is_up_before_the_first_byte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve = socket.getaddrinfo

        def slowly(*args: Any, **options: Any) -> Any:
            time.sleep(0.3)
            return resolve(*args, **options)

        with serving(answering("{}")) as server, core_to(server.url, timeout=0.2) as core:
            monkeypatch.setattr(socket, "getaddrinfo", slowly)
            with pytest.raises(NotSent):
                ask(core)
            assert server.requests == []

    def test_tries_the_other_addresses_of_a_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(answering("{}")) as server, core_to(server.url) as core:
            port = int(server.url.rsplit(":", 1)[1])
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.9", "127.0.0.1")]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            assert ask(core).status == 200

    def test_no_connection_is_free(self) -> None:
        with serving(silent) as server:
            core = HttpCore("komet", server.url, timeout=0.5, gate=OpenGate(), pool=1)
            with ThreadPoolExecutor(1) as thread:
                first = thread.submit(ask, core)
                time.sleep(0.1)
                core._timeout = 0.2
                with pytest.raises(NotSent):
                    ask(core)
                assert isinstance(first.exception(), Unanswered)
            core.close()

    @pytest.mark.parametrize("bad", ["a\nb", "é", "a\r\nX: y"])
    def test_a_header_that_cannot_be_sent(self, bad: str) -> None:
        with serving(answering("{}")) as server, core_to(server.url) as core:
            with pytest.raises(NotSent) as caught:
                core.call("x", "GET", "x", itself, headers={"authorization": TOKEN + bad}, write=False)
            assert server.requests == []
        assert TOKEN not in shown(caught.value)

    def test_what_before_send_raises_goes_to_the_caller(self) -> None:
        def no() -> None:
            raise KeyError("lease lost")

        with serving(answering("{}")) as server, core_to(server.url) as core:
            with pytest.raises(KeyError, match="lease lost"):
                ask(core, before_send=no)
            assert server.connections == 0

    def test_the_gate_comes_first(self) -> None:
        steps: list[str] = []

        class Shut:
            def enter(self, operation: str, *, write: bool, patience: float) -> None:
                steps.append(f"{operation} {write} {patience}")
                raise NoBudget("komet", operation, "used up", 60.0)

            def give_back(self) -> None:
                steps.append("given back")

        core = HttpCore("komet", "http://127.0.0.1:1", timeout=3.0, gate=Shut())
        with pytest.raises(NoBudget):
            ask(core, before_send=lambda: steps.append("sent"))
        core.close()
        assert steps == ["prebook.create True 3.0"]

    def test_what_is_not_sent_after_all_is_given_back(self) -> None:
        given: list[str] = []

        class Counted:
            def enter(self, operation: str, *, write: bool, patience: float) -> None:  # noqa: ARG002 - its form is given
                given.append(operation)

            def give_back(self) -> None:
                given.pop()

        def no() -> None:
            raise KeyError("it is held")

        core = HttpCore("komet", "http://127.0.0.1:1", timeout=3.0, gate=Counted())
        with pytest.raises(KeyError):
            ask(core, before_send=no)
        core.close()
        assert given == []


class TestRefused:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [("401 No", RefusalKind.TOKEN), ("403 No", RefusalKind.RIGHT), ("429 No", RefusalKind.LIMIT)],
    )
    @pytest.mark.parametrize("body", ['{"message":"the words"}', "<html>no</html>", "", "[1]"])
    def test_by_status(self, status: str, kind: RefusalKind, body: str) -> None:
        error = fails(Refused, answering(body, status))
        assert isinstance(error, Refused)
        assert error.kind is kind
        assert ("the words" in error.detail) == ("message" in body)

    def test_a_4xx_without_json_is_no_answer(self) -> None:
        """Something between us and the other side spoke: what became of the request is not known."""
        fails(Unanswered, answering("<html>lost</html>", "404 Not Found"))

    def test_time_begins_before_sent_is_committed(self) -> None:
        """Whoever reads the commit may count on the call's end, however long the commit took."""
        with serving(answering("{}")) as server, core_to(server.url, timeout=0.3) as core:
            with pytest.raises(NotSent):
                ask(core, before_send=lambda: time.sleep(0.4))
            assert server.connections == 0

    @pytest.mark.parametrize(
        ("after", "seconds"),
        [
            ("7", 7.0),
            ("Tue, 24 Nov 2026 10:01:00 GMT", 60.0),
            ("Tue, 24 Nov 2026 09:00:00 GMT", 0.0),
            ("99999999999999", 86_400.0),
            ("-1", None),
            ("soon", None),
            ("inf", None),
            ("\xb2", None),
        ],
    )
    def test_how_long_to_wait(self, after: str, seconds: float | None) -> None:
        def behave(connection: socket.socket) -> None:
            head = f"HTTP/1.1 429 No\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nRetry-After: {after}\r\n"
            connection.sendall(head.encode("latin-1") + b"Content-Length: 2\r\n\r\n{}")

        error = fails(Refused, behave)
        assert isinstance(error, Refused)
        assert error.retry_after == seconds

    def test_words_of_the_other_side_hold_no_token(self) -> None:
        error = fails(Refused, answering(json_text({"message": f"bad token {TOKEN}\n" + "x" * 900}), "401 No"))
        assert error.detail.startswith("HTTP 401: bad token … xxx")
        assert len(error.detail) < 520


@pytest.mark.parametrize("status", ["200 OK", "404 No", "406 No"])
def test_what_is_not_json_is_no_answer(status: str) -> None:
    fails(Unanswered, answering("<html>", status))


def test_nothing_logs_the_token(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    for behave in (answering("{}"), answering("x", "500 Oops"), resetting):
        with serving(behave) as server, core_to(server.url) as core:
            try:
                ask(core, write=False)
            except ClientError:
                logging.getLogger().exception("failed")
    assert TOKEN not in caplog.text
    assert "s3cret" not in caplog.text + "".join(capfd.readouterr())


def test_json_text_keeps_the_digits() -> None:
    value: Json = {"a": Decimal("0.10"), "b": [Decimal("7"), 1, None, True], 'c"': "é\u2028", "d": ()}
    assert json_text(value) == '{"a":0.10,"b":[7,1,null,true],"c\\"":"\\u00e9\\u2028","d":[]}'
    assert parse_json(json_text(value).encode()) == {**value, "d": []}
    assert parse_json(b"[NaN]")[0].is_nan()


def test_whoever_wants_to_know_is_told_how_each_call_ended() -> None:
    """Of a no that only the reader of the answer sees, too; nothing of a call that was not begun."""
    told: list[Ended] = []

    def refuse(answer: Answer) -> Answer:
        raise Refused("komet", "x", str(answer.payload), RefusalKind.OTHER)

    def stop() -> None:
        raise RuntimeError

    with serving(answering("{}")) as server:
        core = HttpCore("komet", server.url, timeout=2.0, gate=OpenGate(), secret=TOKEN, tell=told.append)
        ask(core)
        ask(core, write=False)
        with pytest.raises(Refused):
            core.call("x", "GET", "x", refuse, write=False)
        with pytest.raises(RuntimeError):
            ask(core, before_send=stop)
        core.close()
    for behave, status in (
        (answering("", status="503 Away"), 503),
        (answering("{}", status="401 No"), 401),
        (closing, None),
    ):
        with serving(behave) as server:
            core = HttpCore("komet", server.url, timeout=2.0, gate=OpenGate(), secret=TOKEN, tell=told.append)
            with pytest.raises(ClientError):
                ask(core)
            core.close()
            assert told[-1].status == status
    core = HttpCore("komet", "http://127.0.0.1:1", timeout=2.0, gate=OpenGate(), secret=TOKEN, tell=told.append)
    with pytest.raises(NotSent):
        ask(core)
    core.close()
    assert [(each.operation, each.write, each.outcome, each.status) for each in told] == [
        ("prebook.create", True, "done", 200),
        ("prebook.create", False, "done", 200),
        ("x", False, "refused", 200),
        ("prebook.create", True, "unanswered", 503),
        ("prebook.create", True, "refused", 401),
        ("prebook.create", True, "unanswered", None),
        ("prebook.create", True, "not_sent", None),
    ]
    assert all(each.system == "komet" and 0 < each.seconds < 2 for each in told)
    assert TOKEN not in repr(told)
