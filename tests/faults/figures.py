"""Figures that tests have seen; they are told at the end of the run, with its seed."""

SEEN: list[str] = []


def say(what: object) -> None:
    SEEN.append(str(what))
    print(what)
