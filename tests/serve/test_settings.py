"""Settings come from the environment, and bad ones name their variable."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zeroinvoice.settings import BadSetting, Settings

OLD, NEW = bytes(range(32)).hex(), bytes(range(100, 140)).hex()


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
        ("ZEROINVOICE_SECRET", "00" * 32 + "," + "11" * 32),
        ("ZEROINVOICE_MASTER_KEY", "abcd"),
        ("ZEROINVOICE_MASTER_KEY", "00" * 32 + ",hush"),
        ("ZEROINVOICE_MASTER_KEY", "00" * 32 + ",,"),
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


def test_each_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: read(tmp_path), range(32)))
    keys = {(*it.secret_keys, *it.master_keys) for it in found}
    assert len(keys) == 1
    assert [len(key) for key in keys.pop()] == [32, 32]
    names = ["master.key", "secret.key"]
    assert sorted(it.name for it in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["secret.key", "master.key"])
def test_a_damaged_key_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(BadSetting, match="32 bytes"):
        read(tmp_path)
    assert (tmp_path / name).read_text() == ""


@pytest.mark.parametrize("name", ["master", "secret"])
def test_during_a_rotation_there_are_several_keys(tmp_path: Path, name: str) -> None:
    """T45: the first is the current one, in the variable as in the file."""
    both = (bytes.fromhex(NEW), bytes.fromhex(OLD))
    variable = {"master": "ZEROINVOICE_MASTER_KEY", "secret": "ZEROINVOICE_SECRET"}[name]
    assert getattr(read(tmp_path, **{variable: f"{NEW}, {OLD}"}), f"{name}_keys") == both
    (tmp_path / f"{name}.key").write_text(f"{NEW}\n{OLD}\n")
    assert getattr(read(tmp_path), f"{name}_keys") == both


@pytest.mark.parametrize(
    "weak",
    ["00" * 32, "61" * 64, "0123456789abcdef" * 4, NEW * 2, "0102" + "00" * 62],
)
@pytest.mark.parametrize("name", ["ZEROINVOICE_SECRET", "ZEROINVOICE_MASTER_KEY"])
def test_a_key_that_repeats_itself_is_refused(tmp_path: Path, name: str, weak: str) -> None:
    """T14: in whichever place, and without saying what it was."""
    for given in (weak, f"{OLD},{weak}"):
        with pytest.raises(BadSetting, match=f"^{name} must be drawn by chance") as refused:
            read(tmp_path, **{name: given})
        assert weak not in str(refused.value)


def test_keys_that_are_drawn_are_not_taken_for_weak_ones(tmp_path: Path) -> None:
    """T14: nor are the shortest ones allowed."""
    drawn = [secrets.token_hex(32) for _ in range(2_000)]
    assert len(read(tmp_path, ZEROINVOICE_SECRET=",".join(drawn)).secret_keys) == 2_000


def test_children_read_the_same_settings(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        HOST="::1",
        DATABASE_URL="postgresql://u:hush@/x?host=%2Ftmp",
        SMTP_URL="smtps://u:hush@mail.example.org",
        MAIL_FROM="Äh <a@example.org>",
        PUBLIC_URL="https://example.org/",
        ZEROINVOICE_SECRET=f"{NEW},{OLD}",
        ZEROINVOICE_MASTER_KEY=f"{OLD},{NEW}",
        LOG_LEVEL="Debug",
        ZEROINVOICE_SUPERVISOR="12",
    )
    assert Settings.from_env(settings.to_env(inherit={})) == settings
    assert settings.public_url == "https://example.org"
    for hidden in ("hush", OLD, "\\x01"):
        assert hidden not in repr(settings)


def test_a_link_in_a_mail_reaches_this_machine_when_all_addresses_are_listened_on(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, HOST="0.0.0.0").public_url == "http://127.0.0.1:8000"
    assert read(tmp_path, HOST="::", PORT="1").public_url == "http://[::1]:1"
