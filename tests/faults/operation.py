"""An operation: one command of the API, with what it needs, its request, effect and invariant."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from offices import Office, Request
from records import Records

from zeroinvoice.kernel.desk import Desk

Sent = tuple[str, str, Any]  # method, path, JSON body


def nothing(desk: Desk, office: Office) -> None:
    return None


@dataclass(frozen=True)
class Operation:
    """One command of the API. Without an effect it is one that is always refused."""

    name: str
    request: Callable[[Any, str], Sent]  # of what it needs, and its mark
    effect: tuple[str, ...]  # the events it leaves, each as often as it leaves it
    needs: Callable[[Desk, Office], Any] = nothing
    holds: Callable[[Records, Any], bool] = lambda records, it: True  # once it took place
    besides: tuple[str, ...] = ()  # events it may leave, too
    weight: int = 4  # how often it is drawn
    form: bool = False

    def effects(self, left: Counter[str]) -> int:
        """How often it took place, by the events that bear its mark; it is never half done."""
        kept = Counter({name: n for name, n in left.items() if name not in self.besides})
        times = kept[self.effect[0]] // self.effect.count(self.effect[0]) if self.effect else 0
        whole = Counter({name: times * n for name, n in Counter(self.effect).items()})
        assert kept == +whole, f"{self.name} is half done: {dict(kept)}"
        return times


class Attempt(Request):
    """An operation that is carried out once, however often it is sent."""

    def __init__(self, operation: Operation, need: Any, mark: str, email: str) -> None:
        method, path, body = operation.request(need, mark)
        if operation.form:
            super().__init__(mark, method, path, data={"username": email, **body})
        else:
            super().__init__(mark, method, path, json=body)
        self.operation = operation
        self.need = need

    @property
    def told(self) -> str:
        """What it is and was answered, for whoever reads why a check failed."""
        answer = f"{self.answer.status_code} {self.answer.text[:300]}" if self.answer else "nothing"
        return f"{self.operation.name} is {self.outcome}, answered {answer},"
