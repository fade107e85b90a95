"""PostgreSQL with one writer at a time, as SQLite has by nature: every transaction begins by taking one lock.

Why: a loop reads, decides and writes in one transaction, and each touches the rows of others (a pod's end wakes its
Deployment, whose new pods wake the scheduler). Side by side, such transactions lock rows in different orders, and
PostgreSQL ends one of them as a deadlock after a second; and what was decided upon could change before it was written.
They all queued at the resource version's row anyway, from their first write to their commit. So they queue at the
beginning. Transactions are short: no Docker or Git call is made inside one. Reads outside of one wait for nobody.

The lock is the transaction's: commit, rollback and the end of the connection release it. A process that stops in the
middle of one (paused, or cut off from the server) is ended by the server after IDLE_SECONDS, so that it blocks nobody
for longer than its leases would. Of one process one thread queues at the server: were it all of them, each would be
given the lock when the one before it had been ended, and a paused process of eight would block the others for two
minutes.
"""

from __future__ import annotations

import threading

from django.db.backends.postgresql import base

LOCK = 7_079_431_266
"""pg_advisory_xact_lock's key: any number that nobody else uses in this database."""
IDLE_SECONDS = 15
_turn = threading.Lock()
_BEGIN = "SELECT pg_advisory_xact_lock(%s), set_config('idle_in_transaction_session_timeout', %s, true)"


class DatabaseWrapper(base.DatabaseWrapper):
    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs do not know it
        if autocommit:
            return
        try:
            with _turn, self.wrap_database_errors:
                self.connection.execute(_BEGIN, [LOCK, f"{IDLE_SECONDS}s"]).close()
        except BaseException:
            self.close()  # or it would go on in a transaction that nobody commits
            raise
