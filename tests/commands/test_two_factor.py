"""Second factors over HTTP: set up, switched off, codes on paper, and no secret on record."""

import concurrent.futures
import re
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from zeroinvoice.domain.two_factor import code_of, step_of, two_factor_of

PASSWORD = "correct horse battery"
FULL_WIDTH = "１２３４５６"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


# Setting up


def test_a_secret_is_shown_and_is_not_in_use_before_its_first_code(holder: Any) -> None:
    """A2-1: 160 bits, as text, URI and QR code."""
    shown = holder.set_up().json()
    assert re.fullmatch("[A-Z2-7]{32}", shown["secret_base32"])
    assert shown["otpauth_uri"].startswith("otpauth://totp/ZeroInvoice:")
    assert f"secret={shown['secret_base32']}" in shown["otpauth_uri"]
    assert shown["qr_svg"].startswith("<svg ")
    assert holder.it.me(holder.tokens).json()["two_factor"] == {"enabled": False}
    assert "access_token" in holder.it.login().json()


def test_setting_up_again_replaces_what_is_not_in_use(holder: Any) -> None:
    """A2-1."""
    holder.set_up()
    old = holder.code()
    holder.set_up()
    assert refusal(holder.post("2fa/verify", {"code": old})) == (401, "wrong_code")
    assert holder.post("2fa/verify", {"code": holder.code()}).status_code == 200


def test_setting_up_needs_the_password_again(holder: Any) -> None:
    """Section 2.2, 2fa: nobody enrols themselves on a stolen session."""
    answers = [holder.post("2fa/setup", {"password": f"guess {n}"}) for n in range(6)]
    assert [it.status_code for it in answers] == [401] * 5 + [429]
    assert answers[0].json()["code"] == "wrong_password"
    assert holder.post("2fa/setup", {}).status_code == 400
    assert holder.facts() == []
    assert holder.it.facts()[-1] == "LoginFailed"


def test_the_first_code_switches_it_on_and_shows_ten_backup_codes(secured: Any) -> None:
    """A2-2 and A2-6: at least 80 bits each, shown once; hashes alone are on record."""
    assert len(set(secured.backup)) == 10
    for code in secured.backup:
        assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}", code)
    shown = secured.it.me(secured.tokens).json()["two_factor"]
    assert shown == {"enabled": True, "backup_codes_left": 10}
    assert secured.facts() == ["TwoFactorPrepared", "TwoFactorEnabled"]


def test_setting_up_what_is_on_is_a_conflict_and_changes_nothing(secured: Any) -> None:
    """Section 2.2, 2fa: 409; the active factor is untouched."""
    secret = secured.secret
    assert refusal(secured.set_up()) == (409, "two_factor_on")
    assert refusal(secured.post("2fa/verify", {"code": secured.code()})) == (409, "two_factor_on")
    secured.secret = secret
    assert secured.finish(secured.code()).status_code == 200


def test_a_code_without_a_secret_is_a_conflict(holder: Any) -> None:
    """A2-2."""
    answer = holder.post("2fa/verify", {"code": "123456"})
    assert refusal(answer) == (409, "two_factor_not_prepared")


def test_switching_on_ends_other_sessions_and_tells_the_user(holder: Any) -> None:
    """Section 2.2, refresh: after a change of the second factor older access is dead. Rule 11."""
    other = holder.it.entered()
    holder.on()
    assert holder.it.me(other).status_code == 401
    renewed = holder.it.post("/api/auth/refresh", {"refresh_token": other["refresh_token"]})
    assert renewed.status_code == 401
    assert holder.it.me(holder.tokens).json()["sessions"] == 1
    assert holder.it.facts()[-1] == "OthersLoggedOut"
    assert holder.it.mailed(1)[0]["Subject"] == "A second factor was switched on"


# Backup codes


def test_a_backup_code_lets_in_once_and_says_how_many_are_left(secured: Any) -> None:
    """A2-7: however it is typed."""
    first, second = secured.backup[:2]
    answer = secured.by_backup(first.lower().replace("-", " ").replace("0", "o"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["backup_codes_left"] == 9
    assert secured.it.me(answer.json()).json()["two_factor"]["backup_codes_left"] == 9
    assert refusal(secured.by_backup(first)) == (401, "wrong_code")
    assert secured.by_backup(second).json()["backup_codes_left"] == 8


def test_of_thirty_equal_backup_codes_at_once_one_is_taken(secured: Any) -> None:
    """T12."""
    tokens, code = [secured.half() for _ in range(10)], secured.backup[0]
    sent = [tokens[n % 10] for n in range(30)]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda it: secured.by_backup(code, it).status_code, sent))
    assert Counter(answers)[200] == 1
    assert secured.facts().count("BackupCodeUsed") == 1


def test_wrong_backup_codes_count_like_wrong_codes(secured: Any) -> None:
    """A2-4: one count for both."""
    token = secured.half()
    for _ in range(2):
        assert secured.by_backup("0000-0000-0000-0000", token).status_code == 401
    for _ in range(3):
        assert secured.finish(secured.wrong(), token).status_code == 401
    assert secured.by_backup(secured.backup[0]).status_code == 429


def test_the_last_backup_codes_are_told_to_their_owner(secured: Any) -> None:
    """A2-7: a letter from two left on."""
    for n, code in enumerate(secured.backup):
        assert secured.by_backup(code).json()["backup_codes_left"] == 9 - n
    letters = [it for it in secured.it.mailed(4) if it["Subject"] == "Few backup codes are left"]
    left = [re.findall(r"left: (\w+)", it.get_content()) for it in letters]
    assert left == [["2"], ["1"], ["none"]]


def test_new_backup_codes_void_the_old(secured: Any) -> None:
    """A2-6, and section 2.2: needs the password and a code."""
    path, code = "2fa/backup-codes", secured.code()
    wrong = secured.post(path, {"password": "wrong", "code": code})
    assert refusal(wrong) == (401, "wrong_password")
    wrong = secured.post(path, {"password": PASSWORD, "code": secured.wrong()})
    assert refusal(wrong) == (401, "wrong_code")
    assert secured.post(path, {"password": PASSWORD}).status_code == 400
    answer = secured.post(path, {"password": PASSWORD, "code": code})
    assert answer.status_code == 200, answer.text
    new = answer.json()["backup_codes"]
    assert len(set(new) - set(secured.backup)) == 10
    assert secured.by_backup(secured.backup[0]).status_code == 401
    assert secured.by_backup(new[0]).json()["backup_codes_left"] == 9
    assert secured.it.mailed(2)[-1]["Subject"] == "New backup codes were made"


# Switching off


def test_switching_off_needs_the_password_and_a_code(secured: Any) -> None:
    """A2-5: both; then the password alone lets in."""
    assert secured.disable().status_code == 400
    both = secured.disable(code=secured.code(), backup_code=secured.backup[0])
    assert both.status_code == 400
    assert refusal(secured.disable("wrong", code=secured.code())) == (401, "wrong_password")
    assert refusal(secured.disable(code=secured.wrong())) == (401, "wrong_code")
    assert secured.it.me(secured.tokens).json()["two_factor"]["enabled"] is True
    assert secured.disable(code=secured.code()).json() == {"enabled": False}
    assert secured.it.me(secured.tokens).json()["two_factor"] == {"enabled": False}
    assert "access_token" in secured.it.login().json()
    assert refusal(secured.disable(code=secured.code())) == (409, "two_factor_off")


def test_a_backup_code_switches_off_too(secured: Any) -> None:
    """A2-5."""
    assert secured.disable(backup_code=secured.backup[3]).status_code == 200
    assert secured.facts()[-2:] == ["BackupCodeUsed", "TwoFactorDisabled"]


def test_switching_off_ends_other_sessions_and_tells_the_user(secured: Any) -> None:
    """A2-5, and the half sessions with them."""
    other = secured.finish(secured.code()).json()
    secured.wait()
    half = secured.half()
    assert secured.disable(code=secured.code()).status_code == 200
    assert secured.it.me(other).status_code == 401
    assert secured.it.me(secured.tokens).status_code == 200
    secured.wait()
    assert secured.finish(secured.code(), half).status_code == 401
    assert secured.it.mailed(2)[-1]["Subject"] == "The second factor was switched off"


def test_it_can_be_set_up_anew_and_the_old_secret_is_worth_nothing(secured: Any) -> None:
    """A2-1: also within the time step of its last code."""
    assert secured.disable(code=secured.code()).status_code == 200
    old, old_codes = secured.secret, secured.backup
    secured.on()
    assert secured.secret != old
    assert secured.finish(code_of(old, step_of(secured.it.house.clock()))).status_code == 401
    assert secured.by_backup(old_codes[0]).status_code == 401
    assert secured.finish(secured.code()).status_code == 200


# Resets, repetitions, secrets


def test_a_password_reset_keeps_the_second_factor_on(secured: Any) -> None:
    """T17, rule 7: the letter alone lets nobody in, and half sessions end with the others."""
    half = secured.half()
    secured.it.post("/api/auth/forgot-password", {"email": secured.it.email})
    letters = secured.it.mailed(2)
    (token,) = re.findall(r"#token=(\S+)", "".join(it.get_content() for it in letters))
    body = {"token": token, "new_password": "an entirely new secret"}
    assert secured.it.post("/api/auth/reset-password", body).status_code == 200
    assert secured.finish(secured.code(), half).status_code == 401
    assert secured.it.me(secured.tokens).status_code == 401
    answer = secured.it.login("an entirely new secret").json()
    assert answer["mfa_required"] is True
    assert secured.finish(secured.code(), answer["mfa_token"]).status_code == 200


def test_whatever_is_repeated_with_its_key_is_answered_alike(holder: Any) -> None:
    """R-CMD-1: the secret, the codes and the tokens are the same, though none is kept."""

    def twice(path: str, body: Any) -> Any:
        key = {"Idempotency-Key": uuid4().hex}
        first, again = (holder.post(path, body, **key) for _ in range(2))
        assert first.status_code == again.status_code == 200, again.text
        assert first.json() == again.json()
        assert again.headers["idempotent-replayed"] == "true"
        return first.json()

    holder.secret = twice("2fa/setup", {"password": PASSWORD})["secret_base32"]
    twice("2fa/verify", {"code": holder.code()})
    holder.wait()
    twice("2fa/backup-codes", {"password": PASSWORD, "code": holder.code()})
    holder.wait()
    tokens = twice("2fa/verify", {"code": holder.code(), "mfa_token": holder.half()})
    assert holder.it.me(tokens).status_code == 200
    holder.wait()
    twice("2fa/disable", {"password": PASSWORD, "code": holder.code()})


def test_a_wrong_code_that_is_repeated_with_its_key_counts_once(secured: Any) -> None:
    """R-CMD-1."""
    body = {"code": secured.wrong(), "mfa_token": secured.half()}
    for _ in range(2):
        answer = secured.it.post("/api/auth/2fa/verify", body, **{"Idempotency-Key": "wrong-code"})
        assert refusal(answer) == (401, "wrong_code")
    assert secured.facts().count("TwoFactorCodeRefused") == 1


def test_no_secret_of_a_second_factor_is_on_record(secured: Any, capfd: Any) -> None:
    """A2-8, T32: neither secret nor codes, in no fact, log, table or answer kept for a key."""
    code = secured.code()
    secured.finish(code, **{"Idempotency-Key": uuid4().hex})
    secured.by_backup(secured.backup[0])
    with psycopg.connect(secured.it.house.database_url, autocommit=True) as connection:
        rows = connection.execute("SELECT state FROM facts").fetchall()
        rows += connection.execute("SELECT outcome FROM answers").fetchall()
        rows += connection.execute("SELECT encode(wrapped, 'escape') FROM vault_keys").fetchall()
    written = "\n".join(row[0] for row in rows if row[0]) + "".join(capfd.readouterr())
    plain = [it.replace("-", "") for it in secured.backup]
    assert [it for it in (secured.secret, *secured.backup, *plain) if it in written] == []
    assert f'"{code}"' not in written


def test_somebody_elses_second_factor_is_their_own(secured: Any, visitors: Any) -> None:
    """T3: another user's codes prove nothing of me."""
    other = visitors()
    other.register()
    theirs = type(secured)(other).on()
    assert theirs.finish(secured.code()).status_code == 401
    assert theirs.by_backup(secured.backup[0]).status_code == 401


def test_a_second_factor_is_in_the_audit_log_without_its_secrets(secured: Any) -> None:
    """A2-8: what happened can be read by whoever may read the log."""
    bearer = {"Authorization": f"Bearer {secured.tokens['access_token']}"}
    shown = secured.it.http.get("/api/audit/logs?limit=200", headers=bearer)
    assert shown.status_code == 200, shown.text
    assert "TwoFactorEnabled" in shown.text
    stored = secured.it.house.parts.journal.history(
        secured.it.tenant, two_factor_of(secured.it.tenant, secured.it.user)
    )
    for hidden in stored[-1].event.backup_hashes:
        assert hidden not in shown.text


def test_members_show_who_has_a_second_factor(holder: Any) -> None:
    """Rule A25-7: whoever is to see that everybody has one must see who has none."""

    def shown() -> list[bool]:
        bearer = {"Authorization": f"Bearer {holder.tokens['access_token']}"}
        answer = holder.it.http.get("/api/workspace/members", headers=bearer)
        return [it["two_factor"] for it in answer.json()["items"]]

    assert shown() == [False]
    holder.on()
    assert shown() == [True]
