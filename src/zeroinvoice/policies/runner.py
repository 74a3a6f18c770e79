"""The policies worker: follows the journal for each policy and sees its actions through."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

import psycopg
import structlog

from zeroinvoice.gateways.mail import mailer_of
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.facts import Fact, State, folded
from zeroinvoice.kernel.refusals import Refusal, Unavailable
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.kernel.value import Value
from zeroinvoice.policies.letters import Letters
from zeroinvoice.settings import Settings

log = structlog.get_logger()

S = TypeVar("S", bound=State[Any])
