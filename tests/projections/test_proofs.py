"""Proofs over HTTP and from the command line; whoever checks them needs no database."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.evidence import Growth, Inclusion, check_all
from zeroinvoice.journal.heads import SignedHead

PROOFS = "/api/audit/proofs"


def asked(office: Any, what: str, kind: Any, **query: int) -> Any:
    answer = office.get(f"{PROOFS}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=kind)


def grown(office: Any) -> list[int]:
    """Some clients more; the positions of all facts of the workspace."""
    for name in ("Acme", "Bolt", "Cork"):
        office.made("/api/clients", {"name": name})
    for _ in range(2):  # the first reading is an entry itself
        items = office.get("/api/audit/logs", params={"limit": 200}).json()["items"]
    return sorted(it["seq"] for it in items)


def test_every_fact_is_proven_to_be_in_the_journal(office: Any) -> None:
    """A25-5, A25-9: a path of a few hashes, to a root that is signed."""
    seqs = grown(office)
    head = asked(office, "head", SignedHead)
    assert head.check([head.key]).size == len(seqs)
    for n, seq in enumerate(seqs):
        proof = asked(office, "inclusion", Inclusion, seq=seq)
        proof.check([head.key])
        assert (proof.index, proof.signed.head.root) == (n, head.head.root)
        assert len(proof.path) <= len(seqs).bit_length()


def test_a_journal_is_proven_to_have_only_grown(office: Any) -> None:
    """An earlier head is held against a later one, and what was there before is unchanged."""
    grown(office)
    earlier = asked(office, "head", SignedHead)
    grown(office)
    later = asked(office, "growth", Growth, since=earlier.head.size)
    later.check([earlier.key], earlier.check())
    small = asked(office, "growth", Growth, since=1, size=earlier.head.size)
    assert small.signed.head.root == earlier.head.root
    small.check([earlier.key])


def test_a_proof_of_another_journal_does_not_hold(office: Any, house: Any) -> None:
    """Changed in any part, or shown for something else, it is found out."""
    seqs = grown(office)
    proof = asked(office, "inclusion", Inclusion, seq=seqs[1])
    growth = asked(office, "growth", Growth, since=2)
    other = house.office()
    grown(other)
    theirs = asked(other, "head", SignedHead)
    zeros = "0" * 64
    for wrong in (
        proof.but(hash=zeros),
        proof.but(index=2),
        proof.but(path=proof.path[1:]),
        proof.but(path=[*proof.path, zeros]),
        proof.but(path=["no hash", *proof.path[1:]]),
        proof.but(signed=theirs),
        proof.but(signed=proof.signed.but(head=proof.signed.head.but(root=zeros))),
        growth.but(root=zeros),
        growth.but(size=3),
        growth.but(path=growth.path[:-1]),
        growth.but(signed=theirs),
    ):
        with pytest.raises(Broken):
            wrong.check([proof.signed.key])
    with pytest.raises(Broken):
        proof.check(["00" * 32])
    with pytest.raises(Broken):
        growth.check((), theirs.head)


def test_what_cannot_be_proven_is_refused(office: Any, house: Any) -> None:
    """Another workspace's fact does not exist; a size or an instant that means nothing is told."""
    seqs, other = grown(office), house.office()
    theirs = grown(other)
    for query, status in (
        (f"inclusion?seq={theirs[0]}", 404),
        ("inclusion?seq=99999999", 404),
        ("inclusion?seq=-1", 404),
        ("inclusion", 400),
        ("growth?since=0", 400),
        (f"growth?since={len(seqs) + 50}", 422),
        (f"head?size={len(seqs) + 50}", 422),
        ("head?as_of=2026-01-01T00:00:00Z", 400),
    ):
        answer = office.get(f"{PROOFS}/{query}")
        assert answer.status_code == status, (query, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_command_line_makes_proofs_and_checks_them(
    office: Any, house: Any, tmp_path: Path
) -> None:
    """An operator hands them out; an auditor checks them on a machine of their own."""
    seqs = grown(office)
    earlier = asked(office, "head", SignedHead, size=2)
    env = {"DATABASE_URL": house.database_url, "ZEROINVOICE_DATA": str(house.settings.data)}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-P", "-m", "zeroinvoice", "journal", *map(str, words)]
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False)

    made = run("prove", seqs[-1], "--since", 2)
    assert made.returncode == 0, made.stderr
    file, heads = tmp_path / "proofs.jsonl", tmp_path / "heads.jsonl"
    file.write_text(made.stdout)
    heads.write_bytes(msgspec.json.encode(earlier))
    key = json.loads(made.stdout.splitlines()[0])["signed"]["key"]
    assert check_all(made.stdout.encode().splitlines(), [key], []) == 2
    env.clear()  # neither database nor settings
    checked = run("check", file, "--key", key, "--heads", heads)
    assert (checked.returncode, checked.stdout) == (0, "2 proofs: all hold.\n"), checked.stderr
    file.write_text(made.stdout.replace('"size":2', '"size":3'))
    assert "BROKEN" in run("check", file, "--key", key).stderr
    file.write_text("{}")
    assert run("check", file).returncode == 1
