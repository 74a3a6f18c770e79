"""Settings come from the environment, and bad ones name their variable."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zeroinvoice.settings import BadSetting, Settings


def read(data: Path, **environ: str) -> Settings:
    return Settings.from_env({"ZEROINVOICE_DATA": str(data), **environ})


def test_nothing_need_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({})
    assert settings.data == tmp_path / ".zeroinvoice"
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.database_url is None
    assert settings.supervisor is None
    assert settings.mail_dir == settings.data / "mail"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("PORT", "٨٠٨٠"),
        ("API_PROCESSES", "0"),
        ("ACCESS_TOKEN_MINUTES", "-1"),
        ("DATABASE_URL", "mysql://root:hush@db/x"),
        ("DATABASE_URL", "postgresql://u:hush@db:99999/x"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://[hush/"),
        ("PUBLIC_URL", "example.org"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@b\r\nBcc: c@d"),
        ("LOG_LEVEL", "loud"),
        ("ZEROINVOICE_SECRET", "abcd"),
        ("ZEROINVOICE_SECRET", "hush" * 32),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        read(tmp_path, **{name: value})
    message = str(refusal.value)
    assert message.startswith(name)
    assert message.endswith(".")
    assert "\n" not in message
    assert "hush" not in message


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"^ZEROINVOICE_DATA: .* Not a directory\.$"):
        read(tmp_path / "file" / "data")


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = {it.secret for it in threads.map(lambda _: read(tmp_path), range(32))}
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [it.name for it in tmp_path.iterdir()] == ["secret.key"]


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(BadSetting, match="32 bytes"):
        read(tmp_path)
    assert (tmp_path / "secret.key").read_text() == ""


def test_children_read_the_same_settings(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        HOST="::1",
        DATABASE_URL="postgresql://u:hush@/x?host=%2Ftmp",
        SMTP_URL="smtps://u:hush@mail.example.org",
        MAIL_FROM="Äh <a@example.org>",
        PUBLIC_URL="https://example.org/",
        ZEROINVOICE_SECRET="00" * 40,
        LOG_LEVEL="Debug",
        ZEROINVOICE_SUPERVISOR="12",
    )
    assert Settings.from_env(settings.to_env(inherit={})) == settings
    assert settings.public_url == "https://example.org"
    assert "hush" not in repr(settings)


def test_a_link_in_a_mail_reaches_this_machine_when_all_addresses_are_listened_on(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, HOST="0.0.0.0").public_url == "http://127.0.0.1:8000"
    assert read(tmp_path, HOST="::", PORT="1").public_url == "http://[::1]:1"
