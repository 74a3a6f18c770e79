"""A program in the place of `zeroinvoice`, whose commands only write down what happens to them."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

from zeroinvoice import serve
from zeroinvoice.settings import BadSetting, Settings

DIARY = Path(os.environ["DIARY"])
MANNERS = os.environ.get("MANNERS", "").split()  # such as "stubborn-api" or "failing-migrate"


def note(what: str) -> None:
    with DIARY.open("a") as file:
        file.write(f"{sys.argv[1]} {os.getpid()} {what}\n")


def end(number: int, frame: object) -> None:
    if f"stubborn-{sys.argv[1]}" in MANNERS:
        note("refused")
        return
    note("ended")
    sys.exit(0)


def answer(settings: Settings) -> None:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((settings.host, settings.port))
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection:
                first = connection.recv(1000).partition(b"\r\n")[0]
                known = first == b"GET /api/health HTTP/1.1"
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\n\r\n" if known else b"HTTP/1.1 404 No\r\n\r\n"
                )


def main() -> int:
    try:
        settings = Settings.from_env()
    except BadSetting as trouble:
        sys.exit(str(trouble))
    word = sys.argv[1]
    if word == "serve":
        serve.API_GRACE = serve.WORKER_GRACE = float(os.environ.get("GRACE", "4"))
        return serve.serve(settings, program=(sys.executable, __file__))
    serve.die_with_parent(settings.supervisor)
    signal.signal(signal.SIGTERM, end)
    note(f"began {settings.database_url}")
    if word == "migrate":
        time.sleep(60 if "slow-migrate" in MANNERS else 0)
        return 3 if "failing-migrate" in MANNERS else 0
    if f"failing-{word}" in MANNERS:
        return 3
    if word == "api":
        answer(settings)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
