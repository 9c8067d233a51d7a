"""All claims with their verdicts, a line each: results/reference/claims/README.md, from the folders beside it.

.venv/bin/python scripts/claims_table.py [PDF]

PDF: a file that the table is also written to.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.experiment.compose import compose_grid
from actbench.experiment.questions import FULL, Experiment, Hypothesis, load_experiment
from actbench.experiment.scores import METRICS, worst
from actbench.report.formats.blocks import Block, Heading, Paragraph, Table
from actbench.report.formats.documents import markdown, pdf
from actbench.report.tables import short_source
from actbench.store.files import ANSWER, COSTS, RUNS, read_costs, read_runs

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "results" / "reference" / "claims"
TITLE = "What the field says of activations, tested"
MARKS = {"supported": "✓", "refuted": "✗", "equal": "=", "inconclusive": "?"}
NO_VERDICT = "–"
DATASETS = {
    "digits": "digits", "mnist": "MNIST", "image_folder": "CIFAR-10", "shakespeare": "Shakespeare", "adding": "adding",
}  # fmt: skip
ARCHITECTURES = {
    "mlp": "MLP", "cnn": "CNN", "transformer": "Transf.", "decoder": "decoder", "rnn": "RNN", "gru": "GRU",
    "lstm": "LSTM",
}  # fmt: skip
WORST = {"shakespeare": worst("bits_per_character", 65)}  # scores of runs that diverged, where these are not 0
PLACES = tuple((dataset, architecture) for dataset in DATASETS for architecture in ARCHITECTURES)
LEGEND = (
    "✓ supported, ✗ refuted, = equal: shown to lie within the margin where a difference is claimed, ? inconclusive, "
    "– too few runs; what was not tested is empty. The margin of a test accuracy is 1 point on digits and CIFAR-10 and "
    "0.3 points on MNIST, that of a score on Shakespeare 0.02 bits and on adding 0.02 of R². Learning rates are tuned "
    "for each activation, to the fastest for claims of speed. p-values "
    "are corrected by Holm within an experiment, for claims, definitions and costs separately."
)
SEVERAL = "Several marks in a cell are, in this order: {}."
MADE = (
    "Claims are hypotheses in [experiments/](../../../experiments), and each mark leads to its report. That a Maxout "
    "unit fits any convex function of one variable is tested in [maxout_convex.md](maxout_convex.md). Made by "
    "`scripts/claims.sh`; smooth_or_relu, on CIFAR-10 as a folder of JPEG images, by `scripts/claims.sh full`. The "
    "scales NAME_full, on MNIST, were not run: they take hours. Costs differ by machine."
)


@dataclass(frozen=True)
class Mark:
    """A verdict on one task. terms: what tells the task from others of its place. name: the experiment's."""

    mark: str
    terms: str
    name: str


@dataclass
class Claim:
    """A claim with its marks by data set and architecture. source: as short as in a text."""

    hypothesis: Hypothesis
    source: str
    marks: dict[tuple[str, str], list[Mark]] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[str]:
        """All marks, in the order of the table."""
        return [mark.mark for place in PLACES for mark in self.marks.get(place, [])]

    @property
    def order(self) -> str:
        """What the marks of a cell stand for, where a cell has several."""
        most = max(self.marks.values(), key=len, default=[])
        return " | ".join(mark.terms for mark in most) if len(most) > 1 else ""


def collect(judged: Iterable[tuple[Experiment, pd.DataFrame]]) -> list[Claim]:
    """The claims of experiments with their verdicts; the same words in two experiments are one claim.

    judged: each experiment with its frame of `judge_hypotheses`.
    """
    claims: dict[str, Claim] = {}
    for experiment, found in judged:
        for hypothesis in experiment.hypotheses:
            source = short_source(hypothesis.source or experiment.source)
            claim = claims.setdefault(hypothesis.claim, Claim(hypothesis, source))
            for row in found[found["claim"] == hypothesis.claim].to_dict("records"):
                dataset, architecture, *terms = row["task"].split(", ")
                mark = Mark(MARKS.get(row["verdict"], NO_VERDICT), ", ".join(terms), experiment.name)
                claim.marks.setdefault((dataset, architecture), []).append(mark)
    return list(claims.values())


def headline(claims: Sequence[Claim]) -> str:
    """How many claims are supported in every task, in some, refuted, or neither; and by whether they can be tested."""
    tested = [claim for claim in claims if claim.verdicts]
    kinds = Counter(outcome(claim) for claim in tested)
    both = sum(outcome(claim) == "refuted" and "✓" in claim.verdicts for claim in tested)
    text = (
        f"**Of {len(tested)} claims, {kinds['everywhere']} are supported in every task in which they were tested, "
        f"{kinds['somewhere']} in some and refuted in none; {kinds['refuted']} are refuted in at least one ({both} of "
        f"these supported in another), {kinds['equal']} make no difference beyond the margin in any, and "
        f"{kinds['undecided']} are undecided.**"
    )
    own = {
        testable: [outcome(claim) == "everywhere" for claim in tested if claim.hypothesis.testable == testable]
        for testable in ("yes", "in part", "no")
    }
    yes, in_part, no = ((len(found), sum(found)) for found in own.values())
    text += (
        f" This design can test the source of {yes[0]} claims ({yes[1]} of them supported in every task), in part that "
        f"of {in_part[0]} ({in_part[1]}), and not that of {no[0]} ({no[1]})."
    )
    missing = len(claims) - len(tested)
    return text + f" {missing} more have no result yet." * bool(missing)


def outcome(claim: Claim) -> str:
    """everywhere, somewhere, refuted, equal or undecided, over all tasks of a claim."""
    marks = set(claim.verdicts)
    if "✗" in marks:
        return "refuted"
    if "✓" in marks:
        return "everywhere" if marks == {"✓"} else "somewhere"
    return "equal" if marks == {"="} else "undecided"


def table(claims: Sequence[Claim], notes: list[str], links: bool) -> pd.DataFrame:
    """A line a claim, a column for each data set and architecture that has marks; its title follows its data set's.

    notes: what several marks of a cell stand for, extended. links: of marks to their reports.
    """
    places = [place for place in PLACES if any(place in claim.marks for claim in claims)]
    titles = [
        ARCHITECTURES[place[1]]
        if before and before[0] == place[0]
        else f"{DATASETS[place[0]]}: {ARCHITECTURES[place[1]]}"
        for before, place in zip([None, *places], places, strict=False)
    ]
    lines = []
    for claim in claims:
        asked = claim.hypothesis
        if claim.order and claim.order not in notes:
            notes.append(claim.order)
        note = f" ({notes.index(claim.order) + 1})" if claim.order else ""
        cells = [_cell(claim.marks.get(place, []), links) for place in places]
        reason = f": {asked.reason.replace('the source', 'it', 1)}" if asked.reason else ""
        lines.append([asked.claim + note, *cells, claim.source + reason])
    return pd.DataFrame(lines, columns=["claim", *titles, "source"])


def _cell(marks: Sequence[Mark], links: bool) -> str:
    text = "".join(mark.mark for mark in marks)
    return f"[{text}]({marks[0].name}/report.md)" if marks and links else text


def document(claims: Sequence[Claim], links: bool) -> list[Block]:
    """The claims by whether their source can be tested; then what the headline does not count."""
    asked = [claim for claim in claims if claim.hypothesis.kind == "claim"]
    groups = {
        "Can this design test the source? Yes": [claim for claim in asked if claim.hypothesis.testable == "yes"],
        "In part": [claim for claim in asked if claim.hypothesis.testable == "in part"],
        "No: these are verdicts on our setting alone": [claim for claim in asked if claim.hypothesis.testable == "no"],
        "True by definition, not counted above": [claim for claim in claims if claim.hypothesis.kind == "definition"],
        "Costs, not counted above": [claim for claim in claims if claim.hypothesis.kind == "cost"],
    }
    notes: list[str] = []
    blocks: list[Block] = [Heading(1, TITLE), Paragraph(headline(asked)), Paragraph(LEGEND)]
    for title, own in groups.items():
        blocks += [Heading(2, title), Table(table(own, notes, links))] if own else []
    several = "; ".join(f"({number}) {note}" for number, note in enumerate(notes, 1))
    return [*blocks, *([Paragraph(SEVERAL.format(several))] if notes else []), Paragraph(MADE)]


def judged_experiments() -> Iterable[tuple[Experiment, pd.DataFrame]]:
    """Each experiment with its verdicts at each scale; an empty frame where it has no results of this protocol."""
    for path in sorted((ROOT / "experiments").glob("*.yaml")):
        experiment = load_experiment(path.stem)
        if not experiment.hypotheses:
            continue
        for name in (path.stem, path.stem + FULL) if experiment.full else (path.stem,):
            folder, scale = FOLDER / name, load_experiment(name)
            if not (folder / ANSWER).is_file():
                yield scale, pd.DataFrame(columns=["claim"])
                continue
            protocol = compose_grid(scale.overrides).command.protocol
            runs, costs = read_runs(folder / RUNS), read_costs(folder / COSTS)
            margins = {metric: protocol.margin_of(metric) for metric in METRICS}
            yield scale, judge_hypotheses(scale.hypotheses, runs, costs, protocol.margin, margins, WORST)


def main() -> None:
    claims = collect(judged_experiments())
    (FOLDER / "README.md").write_text(markdown(document(claims, links=True)))
    print(FOLDER / "README.md")
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            Path(sys.argv[1]).write_bytes(pdf(document(claims, links=False), Path(folder)))


if __name__ == "__main__":
    main()
