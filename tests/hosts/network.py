"""Machines of a test's own: network namespaces, each on a cable to this process's namespace, which routes between them.

All of it is gone when this process and those in the namespaces have ended.
"""

import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Priority of our rules: before those that every system has.
_FIRST = 100


@dataclass(frozen=True)
class Host:
    """One machine."""

    address: str
    #: A process that does nothing but be there.
    holder: subprocess.Popen[bytes]

    def command(self, *words: str) -> list[str]:
        """The command line that runs a program there; the process is the same as it would be here."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *words]


class Network:
    """Hosts that reach each other through us, unless a way is cut: then nothing comes through, and nobody says so."""

    def __init__(self) -> None:
        """Must be in a namespace of our own, so that nothing of the machine's own network is touched."""
        assert [name for _, name in socket.if_nameindex()] == ["lo"], "not in a network namespace of its own"
        _ip("link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._hosts: list[Host] = []
        self._cuts: list[tuple[str, ...]] = []

    def add(self) -> Host:
        """One more machine."""
        n = len(self._hosts) + 1
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        host = Host(f"10.77.{n}.2", holder)
        self._hosts.append(host)
        ours = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{holder.pid}/ns/net").readlink() == ours:
            assert holder.poll() is None, "no network namespace can be made here"
        _ip("link", "add", f"host{n}", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _ip("address", "add", f"10.77.{n}.1/24", "dev", f"host{n}")
        _ip("link", "set", f"host{n}", "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{host.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", f"10.77.{n}.1"),
        ):
            subprocess.run(host.command("ip", *words), check=True)
        return host

    def cut(self, one: Host, other: Host, ports: Sequence[int]) -> None:
        """Let nothing through from one to these ports of the other, nor back."""
        for port in ports:
            there = ("from", one.address, "to", other.address, "ipproto", "tcp", "dport", str(port), "blackhole")
            back = ("from", other.address, "to", one.address, "ipproto", "tcp", "sport", str(port), "blackhole")
            for rule in (there, back):
                _ip("rule", "add", "priority", str(_FIRST), *rule)
                self._cuts.append(rule)

    def heal(self) -> None:
        """Let everything through."""
        while self._cuts:
            _ip("rule", "del", "priority", str(_FIRST), *self._cuts.pop())

    def close(self) -> None:
        """Give the machines up."""
        self.heal()
        for n, host in enumerate(self._hosts, 1):
            _ip("link", "delete", f"host{n}")
            host.holder.kill()
            host.holder.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
