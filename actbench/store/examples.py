"""The scores of single test examples, packed as a table keeps them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from actbench.training.results import MOST_EXAMPLES, MOST_WINDOWS, Result

Examples = dict[str, npt.NDArray[np.bool_ | np.float32]]


def examples_frame(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, examples, correct, scores): Result.test_correct or test_scores, and how many examples it is of.

    A row for each run with either; the other is empty.
    """
    records = [
        (result.run.id, min(result.run.data.test, _most_examples(result)), result.test_correct, result.test_scores)
        for result in results
        if result.test_correct is not None or result.test_scores is not None
    ]
    frame = pd.DataFrame(records, columns=["run_id", "examples", "correct", "scores"])
    packed = pd.ArrowDtype(pa.binary())
    return frame.astype({"run_id": "str", "examples": "int64", "correct": packed, "scores": packed})


def _most_examples(result: Result) -> int:
    return MOST_EXAMPLES if result.test_scores is None else MOST_WINDOWS


def unpacked_examples(frame: pd.DataFrame) -> Examples:
    """The inverse of `examples_frame`.

    run id -> whether each test example is classified correctly, bool (examples,); of text the score of each test
    window, float32 (windows,).
    """
    return {
        run_id: np.frombuffer(scores, dtype="<f4").astype(np.float32)
        if isinstance(scores, bytes)
        else np.unpackbits(np.frombuffer(correct, dtype=np.uint8), count=examples).astype(bool)
        for run_id, examples, correct, scores in frame.itertuples(index=False)
    }
