"""Mean ranks with the critical difference."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from actbench.analysis.statistics import Ranks
from actbench.report.figures.style import style


def ranks_figure(ranks: Ranks, activations: Mapping[str, str]) -> Figure:
    """The critical-difference diagram of Demšar 2006. activations: of each series, which decides its colour."""
    import scikit_posthocs as posthocs  # takes a second to import

    figure = Figure(figsize=(6.8, 1.0 + 0.13 * len(ranks.mean)), layout="constrained")
    axis = figure.subplots()
    names, means = list(ranks.mean), list(ranks.mean.values())
    distances = np.abs(np.subtract.outer(means, means))
    # The diagram joins series whose p is above its level: here 1 within the critical difference, else 0.
    joined = pd.DataFrame((distances <= ranks.critical).astype(float), index=names, columns=names)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    artists = posthocs.critical_difference_diagram(
        ranks.mean, joined, ax=axis, label_props={"fontsize": 7}, text_h_margin=0.02,
        color_palette={name: style(activations[name])["color"] for name in names},
    )  # fmt: skip
    for (bar,) in artists["crossbars"]:  # its points come in the order of a set, which is not deterministic
        bar.set_xdata(sorted(bar.get_xdata()))
    axis.tick_params(labelsize=7)
    return figure
