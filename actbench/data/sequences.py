"""The adding problem of Hochreiter & Schmidhuber 1997, in the form of Le, Jaitly & Hinton 2015, arXiv:1504.00941."""

import numpy as np

from actbench.data.prepared import Loaded

SEQUENCES = 20_000
DATA_SEED = 1997  # of the sequences themselves, which are the same for all runs; a run's seed splits them


def adding_problem(length: int) -> Loaded:
    """20,000 sequences of `length` steps with two features: a number from U(0, 1), and a mark that is 0 or 1.

    Two steps are marked, one in each half; the target is the sum of their numbers. Always answering 1 has a mean
    squared error of 1/6, the variance of a sum of two such numbers.
    """
    generator = np.random.default_rng(DATA_SEED)
    sequences = np.zeros((SEQUENCES, length, 2, 1), np.float32)
    sequences[:, :, 0, 0] = generator.random((SEQUENCES, length), np.float32)
    half, rows = length // 2, np.arange(SEQUENCES)
    targets = np.zeros(SEQUENCES, np.float32)
    for low, high in ((0, half), (half, length)):
        places = generator.integers(low, high, SEQUENCES)
        sequences[rows, places, 1, 0] = 1
        targets += sequences[rows, places, 0, 0]
    arrays = {
        "train_images": sequences, "train_labels": targets, "test_images": sequences[:0], "test_labels": targets[:0],
    }  # fmt: skip
    return Loaded(arrays, {"classes": 1, "metric": "r2"})
