"""Figures besides right and wrong: of texts by their wording and, with an embedding model, their sense; of the family.

    measured(predictions, family, embed)["test_iid"]["tuned"]["rouge_l"]      # 61.2 % [58.0, 64.5]

Here belongs which figures a prediction has. The measures themselves stand in `families/similarity.py` and with the
families; what a text means as numbers is asked of `resources.llm`.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import polars as pl

from cs_assets.families.base import ClassifyingFamily, MeasuringFamily, ProseFamily
from cs_assets.families.similarity import similarities
from cs_assets.statistics import Interval, bootstrap, macro_f1

# split -> model -> figure
Measures = dict[str, dict[str, dict[str, Interval]]]
Vectors = Mapping[str, Sequence[float]]
Embed = Callable[[Collection[str]], Vectors]


def measured(predictions: pl.DataFrame, family: object, embed: Embed | None = None) -> Measures:
    """Return each figure with its interval, by split and model; n counts the predictions that have it.

    Args:
        predictions: the table of `predictions`.
        family: a `MeasuringFamily` has figures of its own; a `ClassifyingFamily` a macro-F1; a `ProseFamily` texts that
            are compared by their wording.
        embed: returns vectors of texts, some of which may be missing; None: there is no figure `cosine`.
    """
    answers = set(predictions["answer"])
    prose = {answer for answer in answers if isinstance(family, ProseFamily) and family.is_prose(answer)}
    texts = predictions.filter(pl.col("answer").is_in(list(prose)))
    said = {text for text in {*prose, *texts["prediction"]} if text.strip()}
    vectors = embed(said) if embed and said else {}
    measures: Measures = {}
    groups = predictions.sort("sample_id").group_by("split", "model", maintain_order=True)
    for (split, model), group in sorted(groups, key=lambda item: item[0]):
        pairs = group.select("prediction", "answer").rows()
        values: dict[str, list[float]] = {}
        for prediction, answer in pairs:
            figures = family.measures(prediction, answer) if isinstance(family, MeasuringFamily) else {}
            if answer in prose:
                figures |= similarities(prediction, answer) | _cosine(prediction, answer, vectors)
            for name, value in figures.items():
                values.setdefault(name, []).append(value)
        intervals = {name: bootstrap(each) for name, each in values.items()}
        if isinstance(family, ClassifyingFamily):
            named = [family.classes_named(prediction, answer) for prediction, answer in pairs]
            intervals["macro_f1"] = macro_f1([one for one, _ in named], [true for _, true in named])
        if intervals:
            measures.setdefault(str(split), {})[str(model)] = intervals
    return measures


def _cosine(prediction: str, answer: str, vectors: Vectors) -> dict[str, float]:
    """Return the cosine of two texts' vectors, as far as both have one; a prediction that says nothing has 0."""
    if answer not in vectors or (prediction not in vectors and prediction.strip()):
        return {}
    if not prediction.strip():
        return {"cosine": 0.0}
    one, other = vectors[prediction], vectors[answer]
    product = sum(a * b for a, b in zip(one, other, strict=True))
    length = math.hypot(*one) * math.hypot(*other)
    return {"cosine": product / length if length else 0.0}
