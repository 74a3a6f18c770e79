"""The journal's tables and the vault's, the triggers that keep them as they are, and the roles."""

import psycopg
from psycopg import sql

from zeroinvoice.journal.fence import READ_ROLE, fence, let_indexes_search, unfenced

ORDER_LOCK = 4711  # the advisory lock every append takes, in the database and before any position
CHANNEL = "zeroinvoice_facts"
# What psycopg raises when the session is over or nothing can be had of the database just now.
# The last two are ours: whoever stops inside a transaction is ended (see `conninfo`).
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)
API_ROLE = "zeroinvoice_api"  # appends facts and reads those of all tenants
WORK_ROLE = "zeroinvoice_work"  # reads facts, keeps the read models, destroys keys
KEEPER_ROLE = "zeroinvoice_keeper"  # wraps the vault's keys anew
ROLES = (API_ROLE, READ_ROLE, WORK_ROLE, KEEPER_ROLE)
# Who beside `READ_ROLE` is shown a table's rows, of all tenants; of read models it is the worker.
WHOLE = {
    "facts": (API_ROLE, WORK_ROLE),
    "snapshots": (API_ROLE, WORK_ROLE),
    "vault_keys": (API_ROLE, WORK_ROLE, KEEPER_ROLE),
    "subject_keys": (API_ROLE, WORK_ROLE, KEEPER_ROLE),
}

TABLES = """
CREATE TABLE IF NOT EXISTS facts (
    position  bigint PRIMARY KEY,
    tenant_id uuid NOT NULL,
    stream    uuid NOT NULL,
    version   integer NOT NULL,
    topic     text NOT NULL,
    state     text NOT NULL,
    hash      bytea NOT NULL CHECK (length(hash) = 32),
    subject   uuid          -- whose key seals it, if any
) WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2);
DO $$ BEGIN  -- a journal from before; looked for first, since to alter waits for every reader
    IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'facts'::regclass
                   AND attname = 'subject' AND NOT attisdropped) THEN
        ALTER TABLE facts ADD COLUMN subject uuid;
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS facts_of_subject ON facts (tenant_id, subject, stream)
    WHERE subject IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS facts_of_stream ON facts (stream, version);
CREATE INDEX IF NOT EXISTS facts_of_tenant ON facts (tenant_id, position);

CREATE TABLE IF NOT EXISTS elsewhere (  -- positions whose facts stayed where a tenant came from
    first bigint PRIMARY KEY,
    last  bigint NOT NULL CHECK (last >= first)
);

CREATE TABLE IF NOT EXISTS snapshots (  -- what long streams add up to; may be emptied at any time
    stream    uuid NOT NULL,
    code      bytea NOT NULL,   -- of what they were folded by; no other code uses them
    version   integer NOT NULL,
    tenant_id uuid NOT NULL,
    position  bigint NOT NULL,  -- from which on the state was so
    kind      text NOT NULL,
    state     text NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (stream, code, version)
);

CREATE TABLE IF NOT EXISTS answers (
    key         bytea PRIMARY KEY CHECK (length(key) = 32),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    outcome     text NOT NULL,
    at          timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (at);

CREATE UNLOGGED TABLE IF NOT EXISTS attempts (
    key bytea PRIMARY KEY,          -- SHA-256 of a purpose and a network
    due timestamptz NOT NULL        -- when all that was tried would have come at the steady rate
);

CREATE TABLE IF NOT EXISTS checkpoints (
    name       text PRIMARY KEY,
    shape      integer NOT NULL,            -- the projection's version the tables were built for
    generation integer NOT NULL,            -- which set of tables is served
    position   bigint NOT NULL DEFAULT 0,   -- the last fact that is in them
    applied    bigint NOT NULL DEFAULT 0,   -- how many facts that makes; equal to position
    error      text,                        -- why it stands still, if it does
    error_at   bigint,                      -- the position of the fact that stopped it
    CHECK (applied = position)
);

CREATE TABLE IF NOT EXISTS vault_keys (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,     -- a workspace's, a client's, or one drawn for what it seals
    wrapped_by   uuid,              -- another key of the tenant; NULL where a master key wraps it
    master       text,              -- the name of that master key
    wrapped      bytea,             -- NULL once it is destroyed
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((wrapped_by IS NULL) = (master IS NOT NULL)),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS vault_keys_by_master ON vault_keys (master, tenant_id, id)
    WHERE destroyed_at IS NULL AND master IS NOT NULL;

CREATE TABLE IF NOT EXISTS subject_keys (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,     -- the client, or the merge, that facts speak of
    master       text,              -- the name of the master key that wraps it
    wrapped      bytea,             -- NULL once it is destroyed
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK (wrapped IS NULL OR master IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS subject_keys_by_master ON subject_keys (master, tenant_id, id)
    WHERE destroyed_at IS NULL;
"""

# The vault's trigger empties a key that is said to be destroyed, so whoever may destroy keys can
# neither read nor replace them.
#
# The statement trigger runs before the first row is touched, so no writer, whatever it is,
# can be given a position without holding the lock to its commit.
TRIGGERS = f"""
CREATE OR REPLACE FUNCTION facts_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock({ORDER_LOCK});
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION facts_without_gap() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first bigint; upto bigint; many bigint; before bigint; away bigint;
BEGIN
    SELECT min(position), max(position), count(*) INTO first, upto, many FROM added;
    IF many = 0 THEN RETURN NULL; END IF;
    SELECT coalesce(max(position), 0) INTO before FROM facts WHERE position < first;
    SELECT coalesce(sum(e.last - e.first + 1), 0) INTO away FROM elsewhere e
        WHERE e.first > before AND e.last < upto;
    IF upto <> before + many + away OR EXISTS (SELECT 1 FROM added a JOIN elsewhere e
            ON a.position BETWEEN e.first AND e.last WHERE away > 0) THEN
        RAISE EXCEPTION 'positions % to % do not follow %', first, upto, before
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION facts_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE TRIGGER facts_in_order BEFORE INSERT ON facts
    FOR EACH STATEMENT EXECUTE FUNCTION facts_in_order();
CREATE OR REPLACE TRIGGER facts_without_gap AFTER INSERT ON facts
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION facts_without_gap();
CREATE OR REPLACE TRIGGER facts_for_ever BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
    FOR EACH STATEMENT EXECUTE FUNCTION facts_for_ever();
CREATE OR REPLACE TRIGGER elsewhere_for_ever BEFORE UPDATE OR DELETE OR TRUNCATE ON elsewhere
    FOR EACH STATEMENT EXECUTE FUNCTION facts_for_ever();
ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_in_order;
ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_without_gap;
ALTER TABLE facts ENABLE ALWAYS TRIGGER facts_for_ever;
ALTER TABLE elsewhere ENABLE ALWAYS TRIGGER elsewhere_for_ever;

CREATE OR REPLACE FUNCTION vault_keys_for_good() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.destroyed_at IS NOT NULL THEN
        RAISE EXCEPTION 'a destroyed key stays destroyed'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.destroyed_at IS NOT NULL THEN
        NEW.wrapped := NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER vault_keys_for_good BEFORE UPDATE ON vault_keys
    FOR EACH ROW EXECUTE FUNCTION vault_keys_for_good();
CREATE OR REPLACE TRIGGER subject_keys_for_good BEFORE UPDATE ON subject_keys
    FOR EACH ROW EXECUTE FUNCTION vault_keys_for_good();
"""

GRANTS = f"""
GRANT USAGE ON SCHEMA public TO {", ".join(ROLES)};
GRANT SELECT, INSERT ON facts TO {API_ROLE};
GRANT SELECT, INSERT ON snapshots TO {API_ROLE};
GRANT SELECT ON snapshots TO {READ_ROLE};
GRANT SELECT, DELETE ON snapshots TO {WORK_ROLE};
GRANT SELECT, INSERT ON answers TO {API_ROLE};
GRANT SELECT, DELETE ON answers TO {WORK_ROLE};
GRANT SELECT, INSERT, UPDATE ON attempts TO {READ_ROLE};
GRANT SELECT, DELETE ON attempts TO {WORK_ROLE};
GRANT SELECT ON checkpoints TO {API_ROLE};
GRANT SELECT ON facts, checkpoints TO {READ_ROLE};
GRANT SELECT ON facts TO {WORK_ROLE};
GRANT SELECT ON elsewhere TO {API_ROLE}, {WORK_ROLE};
GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints TO {WORK_ROLE};
GRANT SELECT, INSERT ON vault_keys TO {READ_ROLE};
REVOKE ALL ON vault_keys FROM {API_ROLE};
GRANT SELECT (master, destroyed_at) ON vault_keys TO {API_ROLE};
GRANT SELECT (tenant_id, id, destroyed_at), UPDATE (destroyed_at) ON vault_keys TO {WORK_ROLE};
GRANT SELECT, UPDATE (master, wrapped) ON vault_keys TO {KEEPER_ROLE};
GRANT SELECT, INSERT, UPDATE (destroyed_at) ON subject_keys TO {API_ROLE};
GRANT SELECT ON subject_keys TO {READ_ROLE}, {WORK_ROLE};
GRANT SELECT, UPDATE (master, wrapped) ON subject_keys TO {KEEPER_ROLE};
"""

READING = """
GRANT USAGE ON SCHEMA {schema} TO {reader};
GRANT SELECT ON {table} TO {reader};
REVOKE ALL ON {table} FROM {api};
"""


def grant_reading(connection: psycopg.Connection, schema: str, table: str) -> None:
    """Let requests read a table of a read model, as far as its fence shows it."""
    told = {
        "schema": sql.Identifier(schema),
        "table": sql.Identifier(schema, table),
        "reader": sql.Identifier(READ_ROLE),
        "api": sql.Identifier(API_ROLE),
    }
    connection.execute(sql.SQL(READING).format(**told))


def migrate(url: str) -> None:
    """Make the journal's tables, triggers and roles, or leave them as they are.

    `url` names a database whose user owns it and may make roles. Safe to run at every start
    and from several processes at once.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ORDER_LOCK])
        for role in ROLES:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if known.fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            connection.execute(
                sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)),
            )
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute(TABLES)
        connection.execute(TRIGGERS)
        connection.execute(GRANTS)
        let_indexes_search(connection)
        for schema, table in unfenced(connection):
            fence(connection, schema, table, WHOLE.get(table, (WORK_ROLE,)))
            if table not in WHOLE:
                grant_reading(connection, schema, table)
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(WORK_ROLE)
            )
        )


SAFE_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
TRIGGER_NAMES = ("facts_for_ever", "facts_in_order", "facts_without_gap")


def assert_safe(connection: psycopg.Connection) -> None:
    """Refuse to serve on a database that could lose or reorder what it acknowledged.

    Nor on one that could show a tenant what is another's. Raises `RuntimeError` with the
    reason: durability switched off, or a trigger or a fence missing.
    """
    for name in SAFE_SETTINGS:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        if row is None or row[0] not in ("on", "remote_apply", "remote_write"):
            raise RuntimeError(f"Postgres runs with {name} off: acknowledged facts could be lost.")
    rows = connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'facts'::regclass AND tgenabled = 'A'"
    ).fetchall()
    missing = sorted(set(TRIGGER_NAMES) - {row[0] for row in rows})
    if missing:
        raise RuntimeError(f"The journal lacks the triggers {', '.join(missing)}: run migrate.")
    open_to_all = [".".join(names) for names in unfenced(connection)]
    if open_to_all:
        raise RuntimeError(f"Tenants are not kept apart in {', '.join(open_to_all)}: run migrate.")


def conninfo(
    url: str, role: str, *, application: str, statement_ms: int = 30_000, durable: bool = True
) -> str:
    """The connection string for a process that acts as `role`.

    Not `durable` is for projectors alone: their rows and checkpoints go together, and what a
    crash of the database takes from both they fold again from the journal.

    A writer that is stopped while it holds the order lock is ended after 5 s, and nobody
    waits for the lock longer than 3 s (reliability over patience).
    """
    options = (
        f"-c role={role} -c lock_timeout=3000 -c idle_in_transaction_session_timeout=5000 "
        f"-c statement_timeout={statement_ms}"
    )
    if not durable:
        options += " -c synchronous_commit=off"
    return psycopg.conninfo.make_conninfo(
        url,
        options=options,
        application_name=application,
        connect_timeout=2,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=5000,
    )
