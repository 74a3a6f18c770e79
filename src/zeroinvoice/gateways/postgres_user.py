"""As whom an embedded Postgres runs: it refuses to be root, yet must reach its own files."""

import ctypes
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

NOBODY = 65534

# From <linux/prctl.h>, <linux/securebits.h>, <linux/capability.h> and <linux/sched.h>.
_PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CLONE_NEWUSER = 0x10000000


class NoUser(RuntimeError):
    """Root found no way to run a program as somebody else."""


class RunAs:
    """A user, and what a child process does to become that user just before its program starts."""

    def __init__(self, way: str, uid: int, gid: int, become: Callable[[], None] | None) -> None:
        self.way = way
        self.uid = uid  # whose the files must be
        self.gid = gid
        self._become = become

    def __repr__(self) -> str:
        return f"RunAs({self.way!r}, uid={self.uid})"

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int | IO[Any] = subprocess.STDOUT,
        inside: Path = Path("/"),
    ) -> subprocess.Popen[str]:
        """Start a program in a session of its own, so that Ctrl-C is not meant for it."""

        def become() -> None:
            os.umask(0o077)
            if self._become is not None:
                self._become()
            os.chdir(inside)

        return subprocess.Popen(
            [str(word) for word in command],
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=become,
        )

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all that is in it, to this user."""
        if os.geteuid() != 0 or path.lstat().st_uid == self.uid:
            return
        if path.is_dir() and not path.is_symlink():
            for child in path.iterdir():
                self.own(child)
        os.chown(path, self.uid, self.gid, follow_symlinks=False)  # last: it says all is done


def run_as(program: Path, directory: Path, *, env: Mapping[str, str]) -> RunAs:
    """Who can run `program --version` from the folder that holds `directory`.

    That is ourselves, unless we are root. Root tries, in this order: to become the owner of
    `directory`, else the system user `postgres` or `nobody`; the same with the one capability
    to pass through closed folders such as a /root of mode 0700; a user namespace in which root
    has another number. Raises `NoUser` when nothing works, as in a container without any rights.
    """
    if os.geteuid() != 0:
        return RunAs("ourselves", os.geteuid(), os.getegid(), None)
    troubles = []
    for candidate in _ways(directory):
        try:
            process = candidate.popen([program, "--version"], env=env, inside=directory.parent)
            output, _ = process.communicate(timeout=10)
        except (OSError, subprocess.SubprocessError) as trouble:
            troubles.append(f"{candidate.way}: {trouble}")
            continue
        if process.returncode == 0:
            return candidate
        troubles.append(f"{candidate.way}: {output.strip()}")
    raise NoUser(
        "PostgreSQL refuses to run as root, and this process may not become another user; "
        f"run it as an ordinary user, or set DATABASE_URL. ({'; '.join(troubles)})"
    )


def _ways(directory: Path) -> Iterator[RunAs]:
    uid, gid = _somebody(directory)
    libc = ctypes.CDLL(None, use_errno=True)

    def drop() -> None:
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)

    def drop_keeping(capability: int) -> Callable[[], None]:
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable

        def become() -> None:
            # Without this bit access(2) ignores capabilities, and initdb asks it for its siblings.
            _must(libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
            drop()
            _must(libc.capset(header, sets))
            _must(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))

        return become

    def renumber() -> None:
        _must(libc.unshare(_CLONE_NEWUSER))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{NOBODY} 0 1"),
            ("gid_map", f"{NOBODY} 0 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)

    yield RunAs("another user", uid, gid, drop)
    yield RunAs("another user who may search", uid, gid, drop_keeping(_CAP_DAC_READ_SEARCH))
    yield RunAs("another user who may pass", uid, gid, drop_keeping(_CAP_DAC_OVERRIDE))
    yield RunAs("a user namespace", 0, 0, renumber)


def _somebody(directory: Path) -> tuple[int, int]:
    if directory.exists() and (owner := directory.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    return NOBODY, NOBODY


def _must(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
