"""One read-only look into somebody else's PostgreSQL: a checked address, short locks, time-outs, one snapshot.

Only what is needed is taken from the address, so that it cannot name files or services of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from ingest.sources.guard import addresses
from ingest.sources.http import SourceError, SourceRefused, SourceUnavailable, redact

CONNECT_S = 10
STATEMENT_S = 30
IDLE_S = 120  # between two batches of a cursor, while the last one is stored
KEPT = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert")
SEARCH_PATH = re.compile(r"^-c\s*search_path=(\w+)$")
LONGEST_WORDS = 200
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Database:
    """A database to read. url: postgresql://user:password@host:port/name?sslmode=verify-full, also as SQLAlchemy has it.

    options: statement_s (seconds a statement may take), overlap_s, first_hours.
    """

    name: str
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    allow: Sequence[str] = ()


@contextmanager
def look(database: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection within one read-only transaction that sees one snapshot; errors of the server become SourceErrors."""
    wanted = parameters(database)
    schema = wanted.pop("schema", "")
    try:
        with psycopg.connect(
            **wanted, connect_timeout=CONNECT_S, application_name="airf5", prepare_threshold=None
        ) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            # In the transaction and not at the start: a pooler in between passes these on.
            for setting, value in (
                ("statement_timeout", int(1000 * float(database.options.get("statement_s", STATEMENT_S)))),
                ("lock_timeout", 2000),
                ("idle_in_transaction_session_timeout", 1000 * IDLE_S),
                *((("search_path", schema),) if schema else ()),
            ):
                connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.SQL(setting), sql.Literal(value)))
            yield connection
    except psycopg.Error as error:
        raise told(database.name, error) from None  # the cause may quote the address with its password


def parameters(database: Database) -> dict[str, Any]:
    """What to connect with: the allowed parts of the address, at an address that may be called."""
    url = re.sub(r"^(postgres(?:ql)?)\+\w+:", r"\1:", database.url.strip())
    scheme = url.partition("://")[0].lower()
    if scheme.startswith(("mysql", "mariadb")):
        raise SourceRefused(f"{database.name} keeps its tables in MySQL, which is not read: use its REST API alone.")
    if scheme not in ("postgresql", "postgres"):
        raise SourceRefused(f"The database of {database.name} must be postgresql://user:password@host:port/name.")
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        raise SourceRefused(
            f"The address of {database.name}'s database cannot be read: see how it is written."
        ) from None
    if schema := SEARCH_PATH.match(str(found.get("options", ""))):
        del found["options"]  # any other one is strange
    strange = [name for name in found if name not in KEPT]
    host, port = str(found.get("host", "")), str(found.get("port") or 5432)
    if strange or not host or "," in host or host.startswith(("/", "@")) or not port.isdecimal():
        what = f"has {strange[0]}, which is not taken" if strange else "needs one host, and a port that is a number"
        raise SourceRefused(f"The address of {database.name}'s database {what}.")
    try:
        pinned = addresses(host, int(port), database.allow)[0]
    except httpx.ConnectError as error:
        raise SourceUnavailable(f"The host name {host} is not known: check the address and the DNS.") from error
    except httpx.TransportError as error:
        raise SourceRefused(str(error)) from error
    return {**found, "hostaddr": pinned, **({"schema": schema[1]} if schema else {})}


def batches(
    connection: psycopg.Connection[tuple[Any, ...]], name: str, query: sql.Composed, values: Row, size: int
) -> Iterator[list[Row]]:
    """The rows of a query by way of a cursor on the server, `size` at a time."""
    with connection.cursor(name=name) as cursor:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(size):
            names = [column.name for column in cursor.description or ()]
            yield [dict(zip(names, row, strict=True)) for row in rows]


def told(name: str, error: psycopg.Error) -> SourceError:
    """An error of the server in one sentence, without the address it was asked at."""
    words = redact((str(error).strip().splitlines() or ["no reason given"])[0])[:LONGEST_WORDS]
    if isinstance(error, errors.QueryCanceled):
        return SourceUnavailable(f"The database of {name} took too long or took back its snapshot ({words}).")
    if isinstance(error, errors.SerializationFailure | errors.LockNotAvailable):
        return SourceUnavailable(f"The database of {name} could not answer just now ({words}).")
    if isinstance(error, errors.InsufficientPrivilege):
        return SourceRefused(f"The user may not read {name}'s database ({words}): grant it SELECT.", 403)
    not_let_in = ("authentication failed", "no pg_hba.conf entry", "does not exist")  # but a table that went meanwhile
    if isinstance(error, psycopg.OperationalError) and any(one in words for one in not_let_in):
        return SourceRefused(
            f"The database of {name} does not let us in ({words}): check user, password and name.", 401
        )
    if "certificate" in words:
        return SourceRefused(f"The database of {name} shows a certificate that is not trusted: give sslrootcert.")
    if isinstance(error, psycopg.OperationalError):
        return SourceUnavailable(f"The database of {name} cannot be reached ({words}): is it running?")
    return SourceRefused(f"The database of {name} does not take our question ({words}): is it Airflow's?")
