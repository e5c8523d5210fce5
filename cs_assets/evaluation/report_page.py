"""The page about a model: what was measured, what it still gets wrong, what it was made of.

It is written for someone who was not there: whatever the main table names is explained below it.

    html_page(report, predictions, "收货信息：评测报告", about={"training samples": "1,560"})    # "<!doctype html>..."
"""

import html
import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

import polars as pl

from cs_assets import pages
from cs_assets.evaluation.measuring import Measures
from cs_assets.evaluation.preferred import Preferred
from cs_assets.evaluation.reporting import (
    FIRST_SPLITS,
    EvaluationReport,
    Group,
    changes_table,
    failures,
    judge_tables,
    main_table,
    p_value,
    reward_table,
    worst_failures,
)
from cs_assets.evaluation.retention import Retention
from cs_assets.families.base import METRIC_TITLES, Metric
from cs_assets.quality.judging import added_to_rules

_CARD: Final = "Data card: splits and what is held out, noise, gates, leakage, samples to read"
_MARKED: Final = '<p class="note">Marked: where answer and wanted answer differ, unless they have little in common.</p>'
_STEPWISE: Final = (
    '<p class="note">An answer has several messages, and each is asked for after the true ones before it (teacher '
    "forcing): right as a whole is one that is right at every step. Where a model goes on from its own steps, an early "
    "mistake may cost the later ones.</p>"
)
# What a reader is told of the splits, figures and models that a report names.
_SPLITS: Final[Mapping[str, str]] = {
    "real_style": "messages as people write them, written and labelled by hand, never trained on",
    "test_iid": "new messages of sentences and values such as were trained on",
    "test_template_ood": "sentences unlike any that was trained on",
    "test_entity_ood": "names, addresses, goods and so on that were not trained on",
    "test_noise": "kinds of typing errors and noise that were not trained on",
}
_METRICS: Final[Mapping[Metric, str]] = {
    "exact": "the whole answer is right, and in the wanted form",
    "repaired": "the whole answer is right, whatever stands around it",
    "strict_json": "the answer has the wanted form and nothing else",
    "field_accuracy": "share of the parts of an answer that are right, also of one that is not in the wanted form",
}
_MODELS: Final[Mapping[str, str]] = {
    "base": "the model before training",
    "base_few_shot": "the same, shown examples",
    "tuned": "with what was trained",
    "aligned": "trained further by preferences",
    "best_of_n": "of several answers of the tuned model the one that the reward model likes best",
}
_GROUPS: Final[Mapping[str, str]] = {"tag": "noise or format of the message", "origin": "origin of the sentence"}
_ORIGINS: Final[Mapping[str, str]] = {
    "seed": "written by a person",
    "history": "a real message, with slots in place of its names, numbers and other values",
    "rewrite": "varied by fixed rules",
    "llm": "varied by a language model",
    "real_style": "not of a template: a message as people write them",
}
# What the judge's metrics must tell, that it can be said what it adds; those of an older one may not.
_ADDED: Final = {"threshold", "n", "p_value_after_rules"}
# Of two texts that have less in common, everything would be marked.
_IN_COMMON: Final = 0.5


def html_page(
    report: EvaluationReport,
    predictions: pl.DataFrame,
    title: str,
    *,
    bars: str = "",
    curve: str = "",
    about: Mapping[str, str] | None = None,
    stepwise: bool = False,
    card: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        report: what is told.
        predictions: those that the report was made of.
        title: of the page.
        bars, curve: images as HTML, of the fields and of the losses.
        about: what the tuned model was made of and what it cost, by name.
        stepwise: whether answers have several messages, each asked for after the true ones.
        card: the data card, as parts of a page; empty where there is none.
    """
    worst = [_failure(row) for row in worst_failures(predictions).iter_rows(named=True)]
    return pages.page(
        title,
        [
            *_headlines(report),
            pages.heading("Base against tuned"),
            pages.table(*main_table(report)),
            *_legend(report),
            _STEPWISE if stepwise else "",
            *_changed(report),
            *_preferred(report.preferred),
            *_kept(report.retention),
            pages.heading("By field"),
            bars,
            _by_split("field", report.fields, report.models),
            *_details(report),
            *_judge(report.judge),
            *_reward(report.reward),
            pages.heading("Training, data and costs"),
            f"<p>{html.escape(_capital(report.fit))}</p>" if report.fit else "",
            curve,
            pages.table(("what", "how much"), (about or {}).items()),
            pages.folded(_CARD, card) if card else "",
            pages.heading(_title_of_worst(report, predictions, len(worst))),
            *([_MARKED, *worst] if worst else ["<p>none</p>"]),
        ],
    )


def _legend(report: EvaluationReport) -> list[str]:
    """Return what the names in the main table mean, and how its figures were got."""
    known = {cell.split for cell in report.cells}
    told = [
        {split: what for split, what in _SPLITS.items() if split in known},
        {METRIC_TITLES[metric]: what for metric, what in _METRICS.items()},
        {model: _MODELS[model] for model in report.models},
    ]
    lines = ["; ".join(f"<b>{name}</b>: {what}" for name, what in terms.items()) for terms in told]
    tested = f" p: {_test(report)}, base against tuned on the same messages." if report.p_values else ""
    return [
        *(f'<p class="note">{line}.</p>' for line in lines if line),
        '<p class="note">In brackets: 95&nbsp;% bootstrap interval over the n messages. It has no width where all '
        f"agree; even then a share may be off by up to 3/n.{tested}</p>",
    ]


def _changed(report: EvaluationReport) -> list[str]:
    """Return what became of the tuned model, where something was made of it."""
    columns, rows = changes_table(report)
    if not rows:
        return []
    return [
        pages.heading("Against the tuned model"),
        pages.table(columns, rows),
        f'<p class="note">The difference message by message; p: {_test(report)}.</p>',
    ]


def _test(report: EvaluationReport) -> str:
    """Return the name of the test behind the p-values."""
    return "McNemar's exact test" if report.headline == "exact" else f"exact sign test on {report.headline_title}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _headlines(report: EvaluationReport) -> list[str]:
    """Return the headline figure before and after, on each split that has both and that a reader asks about first."""
    title = _capital(report.headline_title)
    found = []
    for split, what in FIRST_SPLITS.items():
        base, tuned = report.cell(split, "base"), report.cell(split, "tuned")
        if base and tuned:
            before, after = base.figure(report.headline), tuned.figure(report.headline)
            found.append(
                f'<p class="headline">{title} on {what}: <b>{100 * before.mean:.0f} %</b> before, '
                f"<b>{100 * after.mean:.0f} %</b> [{100 * after.low:.0f}, {100 * after.high:.0f}] after tuning "
                f"({after.n} messages)</p>"
            )
    return found


def _kept(retention: Retention | None) -> list[str]:
    """Return what the tuned model can still do besides its task."""
    if retention is None:
        return []
    rows = [(kind, str(by["base"].n), str(by["base"]), str(by["tuned"])) for kind, by in retention.kinds.items()]
    return [
        pages.heading("General questions, which have nothing to do with the task"),
        f"<p>{_capital(str(retention))}; its interval is of paired answers."
        f"{' The tuned model has lost more than chance explains.' if retention.dropped else ''}</p>",
        pages.table(("kind", "n", "base", "tuned"), rows),
    ]


def _details(report: EvaluationReport) -> list[str]:
    """Return more figures: those besides right and wrong, and the headline one and field accuracy by tag and origin."""
    parts = []
    if report.measures:
        parts += [pages.heading("Besides right and wrong"), _by_split("figure", report.measures, report.models)]
    for by in dict.fromkeys(group.by for group in report.groups):
        groups = [group for group in report.groups if group.by == by]
        names = list(dict.fromkeys(group.name for group in groups))
        parts += [pages.heading(f"By {_GROUPS[by]}"), _grouped(report, by, groups), _explained(by, names)]
    return parts


def _grouped(report: EvaluationReport, by: str, groups: Sequence[Group]) -> str:
    """Return the table of groups: the headline figure of each model, then field accuracy where that is another one."""
    metrics: list[Metric] = list(dict.fromkeys((report.headline, "field_accuracy")))
    figures: Measures = {}
    for group in groups:
        of_split = figures.setdefault(group.split, {})
        for metric, figure in zip(metrics, (group.headline, group.field_accuracy), strict=False):
            if figure:
                of_split.setdefault(_column(metric, group.model), {})[group.name or "none"] = figure
    return _by_split(by, figures, [_column(metric, model) for metric in metrics for model in report.models])


def _column(metric: Metric, model: str) -> str:
    return f"{METRIC_TITLES[metric]}, {model}"


def _explained(by: str, names: Sequence[str]) -> str:
    """Return what is to be known of the groups of a table."""
    if by == "tag":
        return '<p class="note">A message may have several tags; none: those without any, to compare with.</p>'
    told = "; ".join(f"<b>{name}</b>: {_ORIGINS[name]}" for name in names if name in _ORIGINS)
    return f'<p class="note">{told}.</p>' if told else ""


def _judge(judge: Mapping[str, float]) -> list[str]:
    """Return how well the judge tells good from corrupted samples, and what it adds to the rules."""
    whole, passed = judge_tables(judge)
    if not whole[1]:
        return []
    parts = [
        pages.heading("The judge, which helps to choose the samples to train on"),
        f"<p>{html.escape(added_to_rules(judge))}</p>" if judge.keys() >= _ADDED else "",
        pages.table(*whole),
        '<p class="note">AUC: how often, of a good and a corrupted sample, the good one has the higher score; 0.5 is '
        "chance. In brackets: 95&nbsp;% bootstrap interval. Unseen: kinds of corruption that were not trained on.</p>",
    ]
    if passed[1]:
        at = f" of {judge['threshold']:.2f}" if "threshold" in judge else ""
        parts += [
            "<p>The same of the samples that break no rule, which are all that it is asked about:</p>",
            pages.table(*passed),
            f'<p class="note">At its threshold{at}: precision, how many of the samples that it keeps are good; recall, '
            "how many of the good ones it keeps.</p>",
        ]
    return parts


def _reward(reward: Mapping[str, float]) -> list[str]:
    """Return how often the reward model prefers the better answer."""
    head, rows = reward_table(reward)
    if not rows:
        return []
    return [
        pages.heading("The reward model, which ranks answers"),
        pages.table(head, rows),
        '<p class="note">Pairs of a good and a corrupted answer to the same message, of sentences that were not '
        "trained on; right: the good one has the higher reward, 50&nbsp;% is chance.</p>",
    ]


def _by_split(what: str, figures: Measures, columns: Sequence[str]) -> str:
    """Return a table of figures (split -> column -> name -> figure)."""
    rows = []
    for split, of_split in figures.items():
        for number, name in enumerate(dict.fromkeys(name for named in of_split.values() for name in named)):
            found = [of_split.get(column, {}).get(name) for column in columns]
            cases = dict.fromkeys(str(figure.n) for figure in found if figure)
            rows.append(("" if number else split, name, ", ".join(cases), *(str(figure or "") for figure in found)))
    return pages.table(("split", what, "n", *columns), rows)


def _preferred(found: Sequence[Preferred]) -> list[str]:
    """Return which replies an LLM prefers."""
    if not found:
        return []
    rows = [
        (p.split, *map(str, (p.n, p.wins, p.ties, p.losses)), p_value(p.p), str(p.first_won or ""), str(p.unparsed))
        for p in found
    ]
    left_out = sum(p.left_out for p in found)
    return [
        pages.heading("Which reply an LLM prefers"),
        "<p>It was shown both replies to a message in both orders, and one is better if it is in both. p: exact sign "
        "test on better and worse. First won: how often the reply that stood first was preferred, 50 % without a bias."
        f"{f' The budget ended before {left_out} messages.' if left_out else ''}</p>",
        pages.table(("split", "n", "tuned is better", "tie", "base is better", "p", "first won", "no verdict"), rows),
    ]


def _title_of_worst(report: EvaluationReport, predictions: pl.DataFrame, shown: int) -> str:
    """Return the heading of the worst answers; where a family is judged by degrees, hardly any is right as a whole."""
    if not shown:
        return "Failures of the tuned model"
    if report.headline == "exact":
        return f"Failures of the tuned model: the worst {shown} of {failures(predictions).height}"
    answers = predictions.filter(model="tuned").height
    return f"The weakest {shown} of the tuned model's {answers} answers, by {METRIC_TITLES['field_accuracy']}"


def _failure(row: Mapping[str, Any]) -> str:
    fields = json.loads(row["fields"]).items()
    wrong = ", ".join(f"{field} {right:.2f}" if right else field for field, right in fields if right < 1)
    if not wrong and row["strict_json"] < 1:
        wrong = "format only"
    wanted, answered = differences(row["answer"], row["prediction"] or "(nothing)")
    case = " · ".join((row["split"], *row["tags"]))
    told = {"case": case, "message": row["message"], "wanted": wanted, "answered": answered}
    return pages.entry(told | {"wrong": wrong} if wrong else told)


def differences(wanted: str, answered: str) -> tuple[list[pages.Piece], list[pages.Piece]]:
    """Return both texts in pieces, those marked that the other has not; none where they have little in common."""
    matcher = SequenceMatcher(None, wanted, answered, autojunk=False)
    if matcher.ratio() < _IN_COMMON:
        return [(wanted, False)], [(answered, False)]
    codes = matcher.get_opcodes()
    return (
        [(wanted[start:end], code != "equal") for code, start, end, _, _ in codes if end > start],
        [(answered[start:end], code != "equal") for code, _, _, start, end in codes if end > start],
    )
