"""The wheel: everything is in it, and in an empty environment of each Python that is found here it does its work."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
#: Of the classifiers: `3.11` and so on.
VERSIONS = [
    version
    for each in PROJECT["project"]["classifiers"]
    if (version := each.removeprefix("Programming Language :: Python :: ")).startswith("3.")
]

on_demand = pytest.mark.skipif(
    "AXKOMET_TEST_RELEASE" not in os.environ, reason="takes minutes for each Python: `make release` runs it"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the backend that is locked: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def names_in(wheel: Path) -> set[str]:
    with ZipFile(wheel) as file:
        return set(file.namelist())


def metadata_of(wheel: Path) -> "Message[str, str]":
    with ZipFile(wheel) as file:
        name = next(each for each in file.namelist() if each.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def test_every_file_of_the_packages_is_in_it_and_nothing_else(wheel: Path) -> None:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file())
    ours = {str(file.relative_to(ROOT)) for file in files if file.parent.name != "__pycache__"}
    packed = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert packed == ours
    assert "models/migrations/script.py.mako" in packed
    assert any(name.startswith("models/migrations/versions/0001") for name in packed)


def test_it_says_what_it_is(wheel: Path) -> None:
    says = metadata_of(wheel)
    assert says["License-Expression"] == "MIT"
    assert [name for name in names_in(wheel) if name.endswith("/licenses/LICENSE")]
    assert says["Requires-Python"] == f">={VERSIONS[0]}"
    assert says["Version"] == PROJECT["project"]["version"]


def needed_by(requirement: Requirement, found: dict[str, set[str]]) -> None:
    """Note a package that is installed for a requirement, and all that it says it needs."""
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return
    name, extras = canonicalize_name(requirement.name), {"", *requirement.extras}
    new = extras - found.setdefault(name, set())
    found[name] |= new
    for line in requires(name) or () if new else ():
        needs = Requirement(line)
        if needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in new):
            needs.marker = None
            needed_by(needs, found)


#: Imports what the processes do, where these modules are missing.
IMPORT = """
import sys
sys.modules.update(dict.fromkeys({missing}))
import kombu.transport.redis, flower.app, flower.command, worker.app, worker.metrics, worker.up
"""


def test_it_names_all_that_its_processes_import() -> None:
    """Here every package of the lock is installed; where only the wheel was, what nobody names is missing."""
    found: dict[str, set[str]] = {}
    for line in PROJECT["project"]["dependencies"]:
        needed_by(Requirement(line), found)
    named = {*found, PROJECT["project"]["name"]}
    owners = packages_distributions()
    missing = [name for name, each in owners.items() if named.isdisjoint(map(canonicalize_name, each))]
    assert "pytest" in missing
    subprocess.run([sys.executable, "-c", IMPORT.format(missing=missing)], check=True)


def find_python(version: str) -> str | None:
    """An interpreter of this version: on the PATH, or among those of pyenv."""
    builds = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for folder in [*os.get_exec_path(), *map(str, sorted(builds.glob(f"{version}.*/bin"), reverse=True))]:
        program = shutil.which(f"python{version}", path=folder)
        if program and not subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode:
            return program
    return None


@on_demand
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", VERSIONS)
def test_in_an_empty_environment_it_does_a_days_work(version: str, wheel: Path, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    folder = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    # What it needs it says itself; the lock says only which version.
    pins = tmp_path / "constraints.txt"
    pins.write_text("\n".join(re.findall(r"^\S+==[^\\\n]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, "install", "-c", str(pins), str(wheel)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AXKOMET_", "PYTHON"))}

    def axkomet(*arguments: str) -> str:
        """Run the command where nothing of ours is but the wheel."""
        command = [str(folder / "bin" / "axkomet"), *arguments]
        done = subprocess.run(command, cwd=empty, env=bare, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "Axerrio and Komet Sales" in axkomet("--help")
    axkomet("demo")  # migrations, services and the sandbox, judged by its exit code
