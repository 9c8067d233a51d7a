"""The stacks that wait for a worker, shared by the threads that serve the workers."""

import threading
from collections import deque
from collections.abc import Iterable

from actbench.training.stacks import Stack, longest_first


class Waiting:
    """Stacks that wait. A stack that was taken counts as open until it is settled, since it may come back.

    stacks: changed only while `changed` is held.
    """

    def __init__(self, stacks: Iterable[Stack]) -> None:
        self.stacks, self.changed = deque(stacks), threading.Condition()
        self._open, self._is_closed = 0, False

    def take(self) -> Stack | None:
        """Waits for a stack, and takes it; None where no more will come."""
        with self.changed:
            self.changed.wait_for(lambda: self.stacks or self._is_closed)
            if self._is_closed:
                return None
            self._open += 1
            return self.stacks.popleft()

    def settle(self) -> None:
        """Notes that a stack that was taken has ended, and that all that follows from it waits."""
        with self.changed:
            self._open -= 1
            self.changed.notify_all()

    def add(self, stacks: Iterable[Stack]) -> None:
        """Adds stacks; the longest of all is the next."""
        with self.changed:
            ordered = longest_first([*self.stacks, *stacks])
            self.stacks.clear()
            self.stacks.extend(ordered)
            self.changed.notify_all()

    @property
    def is_empty(self) -> bool:
        """Whether no stack waits or is open."""
        with self.changed:
            return not self.stacks and not self._open

    def close(self) -> None:
        """Ends all waiting."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()
