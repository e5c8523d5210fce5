"""How alike two texts are by their characters: BLEU, chrF and ROUGE-L, each in [0, 1].

Here belong measures that compare a text with one reference, whatever its language and its scenario. What a text says
is compared in `short_answers.py` and by the families.

    similarities("抱歉，我马上查物流。", "对不起，我马上查物流。")    # {"bleu": 0.69, "chrf": 0.65, "rouge_l": 0.76}

BLEU and chrF are sacrebleu's. ROUGE-L of characters is the longest common subsequence and nothing else: the Chinese
packages for it cut words with a segmenter first, whose dictionary would then be a part of every figure.
"""

import functools
from typing import Any


def similarities(prediction: str, answer: str) -> dict[str, float]:
    """Return all measures by name."""
    return {"bleu": bleu(prediction, answer), "chrf": chrf(prediction, answer), "rouge_l": rouge_l(prediction, answer)}


def bleu(prediction: str, answer: str) -> float:
    """Return the BLEU of one sentence, with sacrebleu's tokenizer `zh`: Chinese by character, the rest by word.

    A text shorter than four tokens is compared with as many orders as it has (`effective_order`).
    """
    # A geometric mean of ones may be a little more than one.
    return min(float(_bleu_metric().sentence_score(prediction, [answer]).score) / 100, 1.0)


def chrf(prediction: str, answer: str) -> float:
    """Return chrF: sacrebleu's defaults, character n-grams up to 6, recall counting twice."""
    return float(_chrf_metric().sentence_score(prediction, [answer]).score) / 100


def rouge_l(prediction: str, answer: str) -> float:
    """Return ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013) as F1 over characters; white space is left out."""
    said, wanted = "".join(prediction.split()), "".join(answer.split())
    return 2 * _common(said, wanted) / (len(said) + len(wanted)) if said and wanted else 0.0


def _common(one: str, other: str) -> int:
    """Return the length of the longest common subsequence.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited": a column of the table is one number, whose zeros count.
    """
    places: dict[str, int] = {}
    for place, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << place
    column = full = (1 << len(one)) - 1
    for character in other:
        matched = column & places.get(character, 0)
        column = (column + matched | column - matched) & full
    return len(one) - column.bit_count()


@functools.lru_cache(maxsize=1)
def _bleu_metric() -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="zh", effective_order=True)


@functools.lru_cache(maxsize=1)
def _chrf_metric() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()
