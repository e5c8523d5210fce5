"""Near-duplicates: samples that say the same thing in the same words, of which one is enough.

Here belongs finding them. What becomes of a sample is decided in `filtering.py`.

Candidates come from MinHash over character 3-grams and locality-sensitive hashing; each is then verified by the exact
Jaccard similarity, of the messages and of the answers, so that nothing is called a duplicate by chance.
"""

from collections.abc import Sequence
from typing import Final

# Hashes a message. 64 of them estimate a similarity within 0.06 (one standard error, sqrt(J(1-J)/64) at J = 0.5).
_HASHES: Final = 64
# The bands are built for a lower similarity than is wanted, so that a true pair is rarely missed.
_MARGIN: Final = 0.25


def trigrams(text: str) -> frozenset[str]:
    """Return the character 3-grams of a text; of a shorter one, the text itself."""
    return frozenset(text[i : i + 3] for i in range(max(len(text) - 2, 1)))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Return the share of 3-grams that two texts have in common; 1 for two empty sets."""
    return len(left & right) / len(left | right) if left or right else 1.0


def near_duplicates(
    messages: Sequence[str], answers: Sequence[str], similarity: float, answer_similarity: float
) -> dict[int, int]:
    """Return, for each sample that is a near-duplicate, the earlier sample that it repeats.

    A sample that repeats a repeated one points to the first of them that stays.

    Args:
        messages, answers: of each sample, in the order in which they are to be kept.
        similarity: Jaccard similarity of character 3-grams, in (0, 1], that the messages must reach.
        answer_similarity: likewise for the answers; 1 where one message has one right answer, so that 要3个 and 要4个
            stay apart.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=max(similarity - _MARGIN, 0.05), num_perm=_HASHES)
    grams = [(trigrams(message), trigrams(answer)) for message, answer in zip(messages, answers, strict=True)]
    found: dict[int, int] = {}
    exact: dict[tuple[str, str], int] = {}
    for number, (message, answer) in enumerate(grams):
        first = exact.setdefault((messages[number], answers[number]), number)
        if first != number:
            found[number] = first
            continue
        sketch = MinHash(num_perm=_HASHES)
        sketch.update_batch([gram.encode() for gram in message])
        similar = [
            other
            for other in sorted(index.query(sketch))
            if jaccard(message, grams[other][0]) >= similarity and jaccard(answer, grams[other][1]) >= answer_similarity
        ]
        if similar:
            found[number] = exact[messages[number], answers[number]] = similar[0]
        else:
            index.insert(number, sketch)
    return found
