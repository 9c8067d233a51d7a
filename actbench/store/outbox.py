"""Sends requests to a store that may be unreachable; a journal keeps what it does not accept until later."""

import sys
import time
from collections.abc import Callable

from actbench.errors import UsageError
from actbench.store.client import is_service_error, reason
from actbench.store.entries import Entry, Writer
from actbench.store.journal import Journal, count_trainings, write_entries
from actbench.store.sqlite import StoreChanged

RETRY_AFTER = 5.0  # seconds until a store that was unreachable is asked again, at least
RETRY_COST = 20  # times what the failed request took: at most a twentieth of the time is lost to waiting
_LATER = "written by the next command on this store in this folder"


class Outbox:
    """Sends requests of one command to the store, and keeps in a journal the entries that it does not take.

    parents: the parent runs of what is kept, each after its own parent. has_lost: whether the store has lost what it
    had taken. problem: why the store does not have everything.
    """

    def __init__(
        self, writer: Writer, uri: str, experiment: str, parent: Entry, keep_taken: Callable[[], object]
    ) -> None:
        """keep_taken: keeps what the store had taken; called when its database is gone."""
        self.parents, self.has_lost, self.problem = [parent], False, "it is unreachable"
        self._keep_taken = keep_taken
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
            self._writer.watch.check()
            if self._retry_at is not None or self.journal.entries:
                self._write_journal()
            action()
        except Exception as error:
            if not is_service_error(error):
                raise
            self.report(error)
            if isinstance(error, StoreChanged):
                self.has_lost = True
                self._keep_taken()
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
                f"store.uri={self._uri}: {self.problem}, and {self.journal.folder} cannot be written: "
                f"{error.strerror or error}"
            ) from error

    def report_lost(self, count: int) -> None:
        """Says that the store lacks this many runs that it had taken."""
        self.has_lost, self._reported = True, False
        self.problem = f"it lost {count} runs" if count else "it lost the command's own run"
        self._say(f"{self.problem} while the command ran", _LATER)

    def _write_journal(self) -> None:
        count = count_trainings(self.journal.entries)
        write_entries(self._writer, self.parents, self.journal.entries)
        self.journal.clear()
        self._retry_at, self._reported, self.has_lost = None, False, False
        if count:
            print(f"store.uri={self._uri} is reachable again: {count} runs are written", file=sys.stderr, flush=True)

    def report(self, error: Exception) -> None:
        """Says once that the store does not answer, and why."""
        if isinstance(error, StoreChanged):
            self._reported = self.has_lost  # what an earlier error has reported is not this
            self.problem = reason(error)
            self._say(self.problem, _LATER)
        else:
            self.problem = f"it is unreachable ({reason(error)})"
            self._say(reason(error), "written once it is reachable again")

    def _say(self, problem: str, remedy: str) -> None:
        """Says once why the store does not take runs."""
        if not self._reported:
            self._reported = True
            kept = f"runs are kept in {self.journal.folder.parent} and {remedy}"
            print(f"store.uri={self._uri}: {problem}; {kept}", file=sys.stderr, flush=True)
