"""Mean ranks with the critical difference."""

import logging

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from actbench.analysis.statistics import Ranks
from actbench.report.figures.style import style


def ranks_figure(ranks: Ranks) -> Figure:
    """Demšar's diagram."""
    import scikit_posthocs as posthocs  # a second of imports

    figure = Figure(figsize=(6.8, 1.0 + 0.13 * len(ranks.mean)), layout="constrained")
    axis = figure.subplots()
    names = list(ranks.mean)
    away = np.abs(np.subtract.outer(list(ranks.mean.values()), list(ranks.mean.values())))
    # The diagram joins those whose p is above its level: here 1 within the critical difference, else 0.
    same = pd.DataFrame((away <= ranks.critical).astype(float), index=names, columns=names)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    drawn = posthocs.critical_difference_diagram(
        ranks.mean, same, ax=axis, label_props={"fontsize": 7}, text_h_margin=0.02,
        color_palette={name: style(name.split()[0])["color"] for name in names},
    )  # fmt: skip
    for (bar,) in drawn["crossbars"]:  # it goes through its members in the order of a set
        bar.set_xdata(sorted(bar.get_xdata()))
    axis.tick_params(labelsize=7)
    return figure
