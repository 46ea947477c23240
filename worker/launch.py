"""Become another program that ends when its parent ends: `launch.py SIGNAL PARENT UNROOT PROGRAM ARGUMENT…`.

Runs on its own, before the program, and imports nothing of ours. What a fork hook would do is done here, after
the exec, where the parent's threads do not matter.

    SIGNAL   number of the signal that the program gets when the parent dies (Linux only)
    PARENT   process id of the parent
    UNROOT   empty, or a folder that belongs to the program alone: then the program does not run as root

PostgreSQL refuses to run as root. As root it becomes `nobody` in a user namespace of its own: outside of it the
files still belong to root. Where that is forbidden, as in most containers, it becomes the real `nobody` but
keeps root's passage through folders, and the folder is given to it.
"""

import ctypes
import os
import sys

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Replace this process with the program; returns only by an exception."""
    death_signal, parent, unroot, program, *rest = arguments
    if unroot and os.geteuid() == 0:
        _leave_root(unroot, program)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        _prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit("The parent ended before its child began.")
    os.execv(program, [program, *rest])  # noqa: S606 - to become it is the purpose


def _leave_root(folder: str, program: str) -> None:
    try:
        if _namespace_serves(folder, program):
            _give(folder, 0)
            _enter_namespace()
        else:
            _give(folder, NOBODY)
            _become_nobody()
    except (OSError, AttributeError) as error:  # AttributeError: a system without these calls
        sys.exit(f"it must not run as root and may not become another user here ({error}): use an ordinary user")


def _namespace_serves(folder: str, program: str) -> bool:
    """Try it in a process of its own, because there is no way back."""
    trial = os.fork()
    if trial:
        return os.waitpid(trial, 0)[1] == 0
    try:
        _give(folder, 0)
        _enter_namespace()
        usable = os.access(program, os.X_OK) and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, AttributeError):
        usable = False
    os._exit(not usable)


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWUSER):
        raise _last_error("unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _become_nobody() -> None:
    _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    mask = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if _libc().capset(header, effective_permitted_inheritable):
        raise _last_error("capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def _give(folder: str, owner: int) -> None:
    """Give the folder and all in it to a user; nothing is walked where it is theirs already."""
    if os.stat(folder).st_uid != owner:
        for path, _, files in os.walk(folder, topdown=False):
            for name in files:
                os.chown(os.path.join(path, name), owner, -1, follow_symlinks=False)
            os.chown(path, owner, -1)


def _prctl(option: int, *values: int) -> None:
    numbers = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc().prctl(option, *numbers):
        raise _last_error("prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error(call: str) -> OSError:
    return OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1:])
