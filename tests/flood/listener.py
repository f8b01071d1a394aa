"""The bot's listener over the real database, in a process of its own: what a flood breaks on.

`python -m tests.flood.listener <database file> <idle timeout> <body timeout>`, in seconds, prints
its port; each line on its standard input is answered by one line of JSON, and its end is the
listener's. Wired as `bot.assembly` does it, without the engine, which would read and settle jobs.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from sqlalchemy import event

from bot import log
from bot.clock import SystemClock
from bot.web.callbacks import CallbackRoute, add_callback_routes
from bot.web.health import add_health_routes
from bot.web.intake import Intake
from bot.web.server import WebServer
from bot.web.signatures import CallbackSigner
from bot.web.site import Site
from storage import jobs
from storage.database import Connection, Database
from tests.unit.storage.bank import NONE
from tests.unit.storage.workshop import new_job

AIVIDEO = "aivideo"
SIGNER = CallbackSigner([b"a key of thirty-two bytes for us."])
JOBS = 20_000
"""Callbacks are spread over so many; when all have had one, the next attempt's turn comes."""
BEAT_S = 0.02
"""Far more often than the gateway's 41 s: a late beat is a blocked loop, whoever blocks it."""

_MORE_JOBS = """
WITH RECURSIVE number (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < :jobs)
INSERT INTO jobs ({columns}) SELECT {values} FROM jobs, number WHERE jobs.id = 1
"""


class Heart:
    """Beats in the loop of the listener, and notes how late each beat was, in seconds."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []

    async def beat(self) -> None:
        while True:
            due_s = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.lags_s.append(time.monotonic() - due_s)

    def told(self) -> list[float]:
        lags_s, self.lags_s = self.lags_s, []
        return lags_s


class Counter:
    """Every statement that reaches the database, `BEGIN` included."""

    def __init__(self, database: Database) -> None:
        self.statements = 0
        event.listen(database._engine.sync_engine, "before_cursor_execute", self)

    def __call__(self, *_arguments: object) -> None:
        self.statements += 1


def make_jobs(connection: Connection) -> None:
    """One queued job, and copies of it."""
    if jobs.get(connection, job_id=1) is not None:
        return
    order = new_job("job 1", price_ucr=0, cost_ucr=0)
    jobs.enqueue(connection, job=order, allowance=NONE, now_us=1)
    columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info (jobs)")]
    changed = {"id": "n", "short_id": "'job ' || n", "reference": "'job ' || n"}
    connection.exec_driver_sql(
        _MORE_JOBS.format(
            columns=", ".join(columns),
            values=", ".join(changed.get(name, name) for name in columns),
        ),
        {"jobs": JOBS},
    )


async def ready() -> bool:
    """A health check answers as ever."""
    await asyncio.sleep(0)
    return True


async def serve(path: Path, idle_timeout_s: float, body_timeout_s: float) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{path}")
    await database.transact(make_jobs)
    counter = Counter(database)
    intake = Intake(database=database, clock=SystemClock(), wake=lambda: None)
    site = Site()
    add_health_routes(site, ready=ready)
    route = CallbackRoute(
        signer=SIGNER, provider=AIVIDEO, record=intake.record, body_timeout_s=body_timeout_s
    )
    add_callback_routes(site, route)
    server = WebServer(site, host="127.0.0.1", port=0, idle_timeout_s=idle_timeout_s)
    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    say({"ready": await server.start()})
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    while await questions.readline():
        used = resource.getrusage(resource.RUSAGE_SELF)
        say(
            {
                "lags_s": heart.told(),
                "statements": counter.statements,
                "cpu_s": used.ru_utime + used.ru_stime,
            }
        )
    beating.cancel()
    await server.close()
    await intake.close()
    await database.close()


def say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    log.configure(log_format="json")  # to standard error, as the bot's
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
