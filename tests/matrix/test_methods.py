"""Methods that a path does not have: refused by name, so the audit log has no way in."""

import re
from collections import defaultdict
from typing import Any
from uuid import uuid4

VERBS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_a_path_takes_its_own_methods_and_no_others(operations: list[Any], asked: Any) -> None:
    """2.0: 405 with Allow; row audit: no route writes to the log."""
    served: defaultdict[str, set[str]] = defaultdict(set)
    for operation in operations:
        served[operation.path].add(operation.method)
    audit = {method for path, methods in served.items() if "/audit/" in path for method in methods}
    assert audit == {"GET"}
    for path, methods in served.items():
        address = re.sub(r"\{\w*id\}", str(uuid4()), path).replace("{resource_type}", "client")
        for verb in VERBS - methods:
            answer = asked.principals.owner.http.request(verb, address.replace("{code}", "A"))
            assert answer.status_code == 405, (verb, path, answer.text)
            assert answer.json()["code"] == "method_not_allowed"
            allowed = set(re.split(r",\s*", answer.headers["allow"]))
            assert allowed & VERBS == methods, (verb, path)
