"""What follows from a stack that failed: it is halved, or its runs are tried again one by one; then they fail."""

import sys
from collections import deque
from dataclasses import dataclass, field

from actbench.execution.worker import Failure
from actbench.training.results import Result, failed_result
from actbench.training.stacks import Stack


@dataclass
class Retries:
    """The stacks that wait, and which runs have had their second chance.

    device: named in the results of runs that fail.
    """

    waiting: deque[Stack]
    device: str
    _retried: set[str] = field(default_factory=set)  # run ids

    def settle(self, stack: Stack, outcome: list[Result] | Failure) -> list[Result]:
        """The results of a stack that has ended; none where its runs go back to those that wait.

        Out of memory: the stack and those like it are halved. Any other failure: each run is tried alone. A run that
        fails alone has failed; one whose worker died is tried once more, unless it was silent twice.
        """
        if not isinstance(outcome, Failure):
            return outcome
        run = stack.runs[0]
        if outcome.silent:
            names = ", ".join(dict.fromkeys(run.settings.activation.label for run in stack.runs))
            problem = f"{outcome.message} from the training of {names} (run {run.id} and {len(stack.runs) - 1} more)"
            print(f"{problem}; its worker is ended", file=sys.stderr, flush=True)
        if len(stack.runs) > 1 and outcome.out_of_memory:
            self._halve(stack)
        elif len(stack.runs) > 1:
            self.waiting.extend(Stack((run,)) for run in stack.runs)
            self._retried |= {run.id for run in stack.runs if outcome.silent}
        elif outcome.died and run.id not in self._retried:
            self._retried.add(run.id)
            self.waiting.append(stack)
        else:
            return [failed_result(run, outcome.message, self.device)]
        return []

    def _halve(self, stack: Stack) -> None:
        smaller = [other for other in self.waiting if not _is_as_large(other, stack)]
        halves = [half for other in (stack, *self.waiting) if _is_as_large(other, stack) for half in _halves(other)]
        self.waiting.clear()
        self.waiting.extend([*halves, *smaller])


def _is_as_large(stack: Stack, other: Stack) -> bool:
    """Whether a stack needs at least the memory of another, known only between equal configurations."""
    one, two = stack.runs[0].settings, other.runs[0].settings
    same = (one.architecture, one.training, one.dataset) == (two.architecture, two.training, two.dataset)
    return same and len(stack.runs) >= len(other.runs)


def _halves(stack: Stack) -> list[Stack]:
    middle = len(stack.runs) // 2
    return [Stack(stack.runs[:middle]), Stack(stack.runs[middle:])]
