"""A bare Litestar application: what the same server and body cost without a business.

`DATABASE_URL` names the database, `ONE_SQL` and `LIST_SQL` what the two reads execute
(with `%(key)s` for the value of the query's `key`), `POOL_SIZE` the connections of each pool.
"""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from bodies import Invoice
from litestar import Litestar, get, post
from litestar.params import FromQuery, JSONBody
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

URL = os.environ.get("DATABASE_URL", "")
ONE_SQL = os.environ.get("ONE_SQL", "SELECT 1 AS one")
LIST_SQL = os.environ.get("LIST_SQL", "SELECT 1 AS one")
SIZE = int(os.environ.get("POOL_SIZE", "16"))  # connections a process and pool

INSERT = "INSERT INTO bare_rows (client_id, line, body) VALUES (%s, %s, %s)"

writers = AsyncConnectionPool(URL, min_size=SIZE, max_size=SIZE, open=False)
readers: ConnectionPool[Connection[DictRow]] = ConnectionPool(
    URL, min_size=SIZE, max_size=SIZE, open=False, kwargs={"row_factory": dict_row}
)


@get("/hello")
async def hello() -> str:
    return "hello"


@post("/echo")
async def echo(data: JSONBody[Invoice]) -> Invoice:
    return data


@post("/insert")
async def insert(data: JSONBody[Invoice]) -> Invoice:
    """Keep three rows of about 400 bytes in a transaction of their own."""
    async with writers.connection() as connection, connection.transaction():
        for number, line in enumerate(data.line_items, 1):
            body = msgspec.json.encode(line).decode().ljust(400)
            await connection.execute(INSERT, (data.client_id, number, body))
    return data


@get("/one", sync_to_thread=True)
def one(key: FromQuery[str] = "") -> list[DictRow]:
    return fetch(ONE_SQL, key)


@get("/list", sync_to_thread=True)
def many(key: FromQuery[str] = "") -> list[DictRow]:
    return fetch(LIST_SQL, key)


def fetch(sql: str, key: str) -> list[DictRow]:
    with readers.connection() as connection:
        return connection.execute(sql.encode(), {"key": key}).fetchall()


@asynccontextmanager
async def pools(_: Litestar) -> AsyncIterator[None]:
    if URL:
        await writers.open(wait=True)
        readers.open(wait=True)
    gc.collect()
    gc.freeze()
    yield
    if URL:
        await writers.close()
        readers.close()


app = Litestar([hello, echo, insert, one, many], lifespan=[pools], openapi_config=None)
