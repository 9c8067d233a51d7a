"""Sends requests to a store that may be unreachable; a journal keeps what it does not accept until later."""

import sys
import time
from collections.abc import Callable

from actbench.errors import UsageError
from actbench.store.client import is_service_error, reason
from actbench.store.entries import Entry, Writer
from actbench.store.journal import Journal, count_trainings, write_entries

RETRY_AFTER = 5.0  # seconds until a store that was unreachable is asked again, at least
RETRY_COST = 20  # times what the failed request took: at most a twentieth of the time is lost to waiting


class Outbox:
    """Sends requests of one command to the store, and keeps in a journal the entries that it does not take.

    parents: the parent runs of what is kept, each after its own parent.
    """

    def __init__(self, writer: Writer, uri: str, experiment: str, parent: Entry) -> None:
        self.parents = [parent]
        self.journal = Journal(uri, experiment, parent.uid)
        self._writer, self._uri = writer, uri
        self._retry_at: float | None = None  # time.monotonic()
        self._reported = False  # that the store is unreachable

    def send(self, action: Callable[[], object], force: bool = False) -> bool:
        """Carries out an action after what the journal holds; returns whether the store has taken it.

        An unreachable store is not asked again for a while, unless forced. Raises what is no error of the store.
        """
        if force:
            self._retry_at = None
        if self._retry_at is not None and time.monotonic() < self._retry_at:
            return False
        began = time.monotonic()
        try:
            if self._retry_at is not None or self.journal.entries:
                self._write_journal()
            action()
        except Exception as error:
            if not is_service_error(error):
                raise
            self._report(error)
            now = time.monotonic()
            self._retry_at = now + max(RETRY_AFTER, RETRY_COST * (now - began))
            return False
        self._retry_at = None
        return True

    def keep(self, entry: Entry) -> None:
        """Keeps an entry in the journal. Raises UsageError where that cannot be written either."""
        try:
            self.journal.append(entry, self.parents)
        except OSError as error:
            raise UsageError(
                f"store.uri={self._uri} is unreachable and {self.journal.folder} cannot be written: {error.strerror}"
            ) from error

    def _write_journal(self) -> None:
        count = count_trainings(self.journal.entries)
        write_entries(self._writer, self.parents, self.journal.entries)
        self.journal.clear()
        self._retry_at, self._reported = None, False
        if count:
            print(f"store.uri={self._uri} is reachable again: {count} runs are written", file=sys.stderr, flush=True)

    def _report(self, error: Exception) -> None:
        """Says once that the store is unreachable."""
        if not self._reported:
            self._reported = True
            problem = f"store.uri={self._uri}: {reason(error)}; runs are kept in {self.journal.folder.parent}"
            print(f"{problem} and written once it is reachable again", file=sys.stderr, flush=True)
