"""Flower as people see it: in Chromium, behind the proxy, at the end of a demo, by `make browser-test`.

Its picture of the task list goes to the file that `AXKOMET_TEST_BROWSER` names.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deploy.proxy import proxy
from tests.security.hunt import assert_absent
from worker.supervisor import axkomet_command

webdriver = pytest.importorskip("selenium.webdriver", reason="make browser-test runs it")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

PICTURE = os.environ.get("AXKOMET_TEST_BROWSER", "")
pytestmark = [
    pytest.mark.skipif(not PICTURE, reason="make browser-test runs it"),
    pytest.mark.timeout(900),
]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,860",
)
ORDER = re.compile(r"2026-\d+ (miami|amsterdam)")


@dataclass(frozen=True)
class Demo:
    """A demo that has come to its end, with Flower behind the proxy."""

    address: str
    #: Before the address: `user:password@`.
    access: str
    #: That nobody may see.
    secrets: list[str]

    def url(self, path: str, *, known: bool = True) -> str:
        return f"http://{self.access if known else ''}{self.address}{path}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    env = os.environ | {"AXKOMET_HOME": str(folder)}
    with subprocess.Popen(
        axkomet_command("demo", "--keep"), env=env, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            said = r"Flower: http://127\.0\.0\.1:(\d+) user (\S+) password (\S+)"
            access = next(filter(None, (re.search(said, line) for line in process.stdout)))
            port, user, password = access.groups()
            services = json.loads((folder / "demo" / "services.json").read_text())
            secrets = [password, *(str(urlsplit(url).password) for url in services.values())]
            with proxy(folder, int(port)) as (plain, _):
                yield Demo(plain.removeprefix("http://"), f"{user}:{password}@", secrets)
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """A Chromium that was never used before."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def seen(driver: Any, what: Callable[[str], object]) -> str:
    """The text of the page, once it shows this."""

    def text() -> str:
        return str(driver.find_element(By.TAG_NAME, "body").text)

    WebDriverWait(driver, 30).until(lambda _: what(text()))
    return text()


def test_ops_see_the_work_in_the_words_of_the_trade(demo: Demo, tmp_path: Path) -> None:
    with browser(tmp_path) as driver:
        driver.get(demo.url("/workers"))
        seen(driver, lambda text: re.search(r"worker-\d+@\S+Online", text.replace("\n", "")))
        sources = [driver.page_source]

        driver.get(demo.url("/tasks"))
        seen(driver, re.compile(r"^(sweep|observe) .+", re.MULTILINE).search)
        driver.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("args:2026- result:done")
        seen(driver, lambda text: "done" in text and "all connections" not in text)
        driver.save_screenshot(PICTURE)
        sources.append(driver.page_source)

        search = driver.find_element(By.CSS_SELECTOR, "input[type=search]")
        search.clear()
        search.send_keys("name:create_prebook result:done")
        seen(driver, lambda text: "create_prebook" in text and "link_order" not in text)
        row = driver.find_element(By.CSS_SELECTOR, "#tasks-table tbody tr")
        name, arguments, state, result = (each.text for each in row.find_elements(By.TAG_NAME, "td")[:4])
        assert (name, state) == ("create_prebook", "SUCCESS")
        assert ORDER.fullmatch(arguments)
        assert result.startswith("komet.")

        row.find_element(By.CSS_SELECTOR, "a[href*='/task/']").click()
        text = seen(driver, lambda text: "task details" in text.lower())
        assert arguments in text
        assert result in text
        assert "Traceback" not in text
        sources.append(driver.page_source)

        driver.get(demo.url("/broker"))
        seen(driver, lambda text: "redis://" in text)
        sources.append(driver.page_source)
    assert assert_absent(demo.secrets, enumerate_pages(sources)) == 4


def enumerate_pages(sources: list[str]) -> Iterator[tuple[str, str]]:
    return ((f"page {number}", source) for number, source in enumerate(sources))


def test_a_stranger_sees_nothing(demo: Demo, tmp_path: Path) -> None:
    with browser(tmp_path) as driver:
        for path in ("/", "/tasks", "/workers", "/metrics", "/healthcheck", "/static/css/flower.css", "/logout"):
            driver.get(demo.url(path, known=False))
            status = driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus")
            assert (status, driver.find_element(By.TAG_NAME, "body").text) == (401, ""), path
