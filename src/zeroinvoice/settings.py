"""Settings: what an operator decides, read once from the environment and from nowhere else."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

from zeroinvoice.kernel.value import Value

T = TypeVar("T")

FEWEST_VALUES = 12  # of bytes in a key; of 32 drawn by chance there are about 30
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class BadSetting(ValueError):
    """A setting that cannot be used; the message is one line and names the variable."""


class Settings(Value):
    """One installation's settings. Keys and `database_url` stay out of its `repr`."""

    host: str  # HOST: the address to listen on
    port: int  # PORT: TCP, 1 to 65535; 0 lets `serve` find a free one
    data: Path  # ZEROINVOICE_DATA: absolute; the database, keys and mails of this machine
    database_url: str | None  # DATABASE_URL: postgresql://…; None is the embedded Postgres
    api_processes: int  # API_PROCESSES: 1 to 64
    smtp_url: str | None  # SMTP_URL: smtp://… or smtps://…; None writes mails to `mail_dir`
    mail_from: str  # MAIL_FROM: the sender of every mail, RFC 5322
    public_url: str  # PUBLIC_URL: how the outside reaches us, without a slash at its end
    # ZEROINVOICE_SECRET and ZEROINVOICE_MASTER_KEY: in hex, at least 32 bytes each, the current
    # one first; else kept in data/secret.key and data/master.key
    secret_keys: tuple[bytes, ...]
    master_keys: tuple[bytes, ...]
    log_level: str  # LOG_LEVEL: one of LOG_LEVELS
    access_token_minutes: int  # ACCESS_TOKEN_MINUTES: 1 to 15
    limit_guesses: int  # LIMIT_GUESSES: logins and the like, a minute and address; 1 to 1,000,000
    limit_address: int  # LIMIT_ADDRESS: requests a second and address; 1 to 1,000,000
    limit_workspace: int  # LIMIT_WORKSPACE: requests a second and workspace; 1 to 1,000,000
    trusted_proxies: int  # TRUSTED_PROXIES: how many stand before us and tell the address; 0 to 10
    cors_origins: tuple[str, ...]  # CORS_ORIGINS: pages elsewhere that may ask, with a token
    api_docs: bool  # API_DOCS: on or off; whether the API describes itself
    supervisor: (
        int | None
    )  # ZEROINVOICE_SUPERVISOR: the process id of `serve`, set for its children

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment. Makes the data folder and, at first start, its keys.

        Raises `BadSetting`. An empty variable is an unset one.
        """
        given = _Given(os.environ if environ is None else environ)
        host = given.text("HOST", "127.0.0.1")
        port = given.whole("PORT", 8000, least=0, most=65535)
        data = given.folder("ZEROINVOICE_DATA", ".zeroinvoice")
        return cls(
            host=host,
            port=port,
            data=data,
            database_url=given.url("DATABASE_URL", ("postgresql", "postgres"), needs_host=False),
            api_processes=given.whole("API_PROCESSES", 2, least=1, most=64),
            smtp_url=given.url("SMTP_URL", ("smtp", "smtps")),
            mail_from=given.address("MAIL_FROM", "ZeroInvoice <zeroinvoice@localhost>"),
            public_url=given.url("PUBLIC_URL", ("http", "https")) or local_url(host, port),
            secret_keys=given.keys("ZEROINVOICE_SECRET", data / "secret.key"),
            master_keys=given.keys("ZEROINVOICE_MASTER_KEY", data / "master.key"),
            log_level=given.one_of("LOG_LEVEL", LOG_LEVELS, "info"),
            access_token_minutes=given.whole("ACCESS_TOKEN_MINUTES", 15, least=1, most=15),
            limit_guesses=given.whole("LIMIT_GUESSES", 60, least=1, most=1_000_000),
            limit_address=given.whole("LIMIT_ADDRESS", 300, least=1, most=1_000_000),
            limit_workspace=given.whole("LIMIT_WORKSPACE", 500, least=1, most=1_000_000),
            trusted_proxies=given.whole("TRUSTED_PROXIES", 0, least=0, most=10),
            cors_origins=given.origins("CORS_ORIGINS"),
            api_docs=given.one_of("API_DOCS", ("on", "off"), "on") == "on",
            supervisor=given.whole("ZEROINVOICE_SUPERVISOR", 0, least=0, most=2**31) or None,
        )

    @property
    def mail_dir(self) -> Path:
        """Where mails are left as files when there is no SMTP server."""
        return self.data / "mail"

    @property
    def heads_dir(self) -> Path:
        """Where signed heads of the journal are left, a file a month."""
        return self.data / "heads"

    @property
    def postgres_dir(self) -> Path:
        """Where the embedded Postgres keeps its data."""
        return self.data / "postgres"

    def to_env(self, *, inherit: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment from which a child process reads these very settings."""
        own = {
            "HOST": self.host,
            "PORT": str(self.port),
            "ZEROINVOICE_DATA": str(self.data),
            "DATABASE_URL": self.database_url or "",
            "API_PROCESSES": str(self.api_processes),
            "SMTP_URL": self.smtp_url or "",
            "MAIL_FROM": self.mail_from,
            "PUBLIC_URL": self.public_url,
            "ZEROINVOICE_SECRET": ",".join(it.hex() for it in self.secret_keys),
            "ZEROINVOICE_MASTER_KEY": ",".join(it.hex() for it in self.master_keys),
            "LOG_LEVEL": self.log_level,
            "ACCESS_TOKEN_MINUTES": str(self.access_token_minutes),
            "LIMIT_GUESSES": str(self.limit_guesses),
            "LIMIT_ADDRESS": str(self.limit_address),
            "LIMIT_WORKSPACE": str(self.limit_workspace),
            "TRUSTED_PROXIES": str(self.trusted_proxies),
            "CORS_ORIGINS": ",".join(self.cors_origins),
            "API_DOCS": "on" if self.api_docs else "off",
            "ZEROINVOICE_SUPERVISOR": str(self.supervisor or ""),
        }
        return {**(os.environ if inherit is None else inherit), **own}

    def __repr__(self) -> str:
        return f"Settings({local_url(self.host, self.port)}, data={str(self.data)!r})"


def local_url(host: str, port: int) -> str:
    """How a browser on this machine reaches an address that is listened on."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


class _Given:
    """The environment, asked for one variable at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        text = self.text(name, str(default))
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise BadSetting(f"{name} must be a whole number from {least} to {most}, not {text!r}.")
        return int(text)

    def one_of(self, name: str, words: tuple[str, ...], default: str) -> str:
        text = self.text(name, default).lower()
        if text not in words:
            raise BadSetting(f"{name} must be one of {', '.join(words)}, not {text!r}.")
        return text

    def url(self, name: str, schemes: tuple[str, ...], *, needs_host: bool = True) -> str | None:
        # The value may hold a password, so it is never part of the message.
        text = self.text(name, "")
        if not text:
            return None
        wanted = f"{name} must be a URL that begins with {schemes[0]}://"
        parts = _tried(lambda: urlsplit(text), f"{wanted}, and this is none.")
        _tried(lambda: parts.port, f"{name} has a port that is not a number up to 65535.")
        if parts.scheme not in schemes:
            raise BadSetting(f"{wanted}.")
        if needs_host and not parts.hostname:
            raise BadSetting(f"{wanted} and a host; this one names no host.")
        return text.rstrip("/")

    def origins(self, name: str) -> tuple[str, ...]:
        """Origins as a browser sends them (RFC 6454), with commas or blanks between them."""
        found = tuple(it for it in re.split(r"[\s,]+", self.text(name, "")) if it)
        for it in found:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", it):
                raise BadSetting(f"{name} must be origins such as https://app.example.com.")
        return found

    def address(self, name: str, default: str) -> str:
        text = self.text(name, default)
        if not re.fullmatch(r"(?:[^<>@]*<[^<>@\s]+@[^<>@\s]+>)|(?:[^<>@\s]+@[^<>@\s]+)", text):
            raise BadSetting(f"{name} must be a mail address such as 'Us <us@example.org>'.")
        return text

    def folder(self, name: str, default: str) -> Path:
        path = Path(self.text(name, default)).expanduser().absolute()
        # Others may pass through, never look around: as root, Postgres is another user.
        return _tried(lambda: _made(path), f"{name}: the folder {path} cannot be made or entered")

    def keys(self, name: str, path: Path) -> tuple[bytes, ...]:
        """One key, or several with commas or blanks between them."""
        if text := self.text(name, ""):
            where = name
        else:
            where = f"ZEROINVOICE_DATA: {path}"
            text = _tried(lambda: _kept_key(path), f"{where} cannot be read or written")
        found = re.split(r"[\s,]+", text)
        if not all(re.fullmatch("([0-9a-fA-F]{2}){32,}", it) for it in found):
            raise BadSetting(f"{where} must hold at least 32 bytes as hexadecimal digits.")
        keys = tuple(bytes.fromhex(it) for it in found)
        if any(_weak(key) for key in keys):
            raise BadSetting(f"{where} must be drawn by chance, as by: openssl rand -hex 32.")
        return keys


def _weak(key: bytes) -> bool:
    """Whether a key repeats itself, as none does that was drawn by chance."""
    few = len(set(key)) < FEWEST_VALUES
    return few or any(key.startswith(key[n:]) for n in range(1, len(key) // 2 + 1))


def _tried(act: Callable[[], T], message: str) -> T:
    try:
        return act()
    except OSError as trouble:
        raise BadSetting(f"{message}: {trouble.strerror}.") from trouble
    except ValueError as trouble:
        raise BadSetting(message) from trouble


def _made(path: Path) -> Path:
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(13, "it belongs to another user")
    return path


def _kept_key(path: Path) -> str:
    """The key in that file; of several first starts at once, one makes it and all read it."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # somebody was quicker, and theirs is the key
        finally:
            draft.unlink()
    return path.read_text().strip()
