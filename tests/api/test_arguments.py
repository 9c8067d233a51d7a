"""Keywords as overrides: what Hydra reads is what Python said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

from actbench.api.arguments import overrides_of
from actbench.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"dataset": "mnist", "seed": 3}, ["dataset=mnist", "seed=3"]),
        ({"activation": ["relu", "gelu"], "seed": range(3)}, ["activation=relu,gelu", "seed=0,1,2"]),
        ({"training": {"steps": 5, "augment": True, "clip_norm": None}},
         ["training.steps=5", "training.augment=true", "training.clip_norm=null"]),
        ({"optimizer": {"name": "sgd", "lr": (0.1, 1e-5)}}, ["optimizer=sgd", "optimizer.lr=0.1,1e-05"]),
        ({"protocol": {"learning_rates": [0.1, 0.2]}}, ["protocol.learning_rates=[0.1,0.2]"]),
        ({"optimizer.betas": [[0.9, 0.99], [0.8, 0.9]]}, ["optimizer.betas=[0.9,0.99],[0.8,0.9]"]),
        ({"optimizer.lr": np.array([0.5, 0.25]), "seed": np.int64(2)}, ["optimizer.lr=0.5,0.25", "seed=2"]),
        ({"dataset": {"name": "table", "root": Path("a b/c.csv")}}, ["dataset=table", "dataset.root='a b/c.csv'"]),
        ({"execution": {"slurm": {"additional": {"qos": "low"}}}}, ["execution.slurm.additional={qos:low}"]),
        ({"activation": [torch.nn.Tanhshrink, torch.sin]},
         ["activation=torch.nn.modules.activation:Tanhshrink,torch:sin"]),
    ],
)  # fmt: skip
def test_keywords_are_overrides(settings: dict[str, Any], lines: list[str]) -> None:
    assert overrides_of(settings) == lines
    OverridesParser.create().parse_overrides(lines)


@pytest.mark.parametrize(
    "text", ["a b", "it's", "a,b", "x=1", "null", "True", "", "back\\slash", "end\\", "\\'", "é", "{x}"]
)
def test_hydra_reads_the_same_text(text: str) -> None:
    (line,) = overrides_of({"dataset.root": text})
    assert OverridesParser.create().parse_override(line).value() == text


@pytest.mark.parametrize("settings", [{"seed": []}, {"dataset": object()}, {"activation": {1, 2}}])
def test_what_the_command_line_cannot_say_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        overrides_of(settings)
