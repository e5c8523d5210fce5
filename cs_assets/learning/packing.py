"""The samples of a batch laid end to end in a few rows, instead of each in a row of its own that padding fills up.

The batch stays what it was: `batch_size` samples, whose answers count alike, token by token. So packing changes how
fast a step is, not what is learned, which a test asserts of loss and gradients.

Samples of one row must not see each other. Each begins at position 0, and there is no attention mask: from such
positions transformers builds the mask that keeps them apart (without position_ids, or with a mask of ones, the second
sample of a row would read the first). Models whose layers know no positions do not follow; `require_samples_apart` says
so before the training begins.

    PackedRows(pad_token_id=0)([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]},
                                {"input_ids": [8, 9], "labels": [-100, 9]}])
    # input_ids [[5, 6, 7, 8, 9]], position_ids [[0, 1, 2, 0, 1]], labels [[-100, 6, 7, -100, 9]]
"""

import heapq
import math
from collections.abc import Sequence
from typing import Any, Final

IGNORED: Final = -100  # what PyTorch's cross-entropy and TRL pass over
_WIDEST: Final = 2048  # tokens in a row on average, unless one sample is longer
_LAYOUTS: Final = 16  # that are tried; each takes as long as sorting the batch
# Every token of a row is compared with every other, whether the mask lets it through or not. In a row this wide that
# costs about as much as all linear layers of a model of half a billion weights; in wider models, less. An estimate: by
# count of operations it is eight times the hidden size, and masked attention is taken to run at half the speed.
_ATTENTION_WIDTH: Final = 4096


def rows_of(lengths: Sequence[int]) -> list[list[int]]:
    """Return which samples, by their number, share a row: the layout that costs least.

    Args:
        lengths: tokens of each sample, at least one.
    """
    total, longest = sum(lengths), max(lengths)
    fewest, most = (math.ceil(total / width) for width in (max(_WIDEST, longest), longest))
    counts = range(fewest, most + 1, max(1, (most - fewest) // _LAYOUTS))

    def cost(rows: list[list[int]]) -> float:
        width = max(sum(lengths[number] for number in row) for row in rows)
        return len(rows) * width * (1 + width / _ATTENTION_WIDTH)

    return min((_balanced(lengths, count) for count in counts), key=cost)


def _balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Deal the samples out to `count` rows, the longest first, each to the row that is shortest so far."""
    rows: list[tuple[int, int, list[int]]] = [(0, number, []) for number in range(count)]
    for sample in sorted(range(len(lengths)), key=lambda sample: -lengths[sample]):
        width, number, members = rows[0]
        heapq.heapreplace(rows, (width + lengths[sample], number, [*members, sample]))
    return [members for _, _, members in sorted(rows, key=lambda row: row[1])]


class PackedRows:
    """A data collator: tokenised samples in, the tensors of packed rows out."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, samples: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
        """Return `input_ids`, `labels` and `position_ids`, all of rows x width.

        Padding at the end of a row stands at position 0, so that each such token is a sample of its own to the model.
        The first token of a sample has no label: the token before it belongs to another one.
        """
        import torch

        rows = rows_of([len(sample["input_ids"]) for sample in samples])
        width = max(sum(len(samples[number]["input_ids"]) for number in row) for row in rows)
        packed = {
            "input_ids": torch.full((len(rows), width), self.pad_token_id),
            "labels": torch.full((len(rows), width), IGNORED),
            "position_ids": torch.zeros((len(rows), width), dtype=torch.long),
        }
        for row, members in enumerate(rows):
            start = 0
            for number in members:
                ids, labels = samples[number]["input_ids"], samples[number]["labels"]
                place = slice(start, start + len(ids))
                packed["input_ids"][row, place] = torch.tensor(ids)
                packed["labels"][row, place] = torch.tensor([IGNORED, *labels[1:]])
                packed["position_ids"][row, place] = torch.arange(len(ids))
                start = place.stop
        return packed


def packed_tokens(position_ids: Any) -> int:
    """Return how many tokens of packed rows are no padding; a sample has at least two, a question and its answer."""
    return int((position_ids > 0).sum() + (position_ids == 1).sum())


def require_samples_apart(model: Any) -> None:
    """Try whether the second of two samples in a row is blind to the first; the model is in evaluation mode after it.

    Raises:
        ValueError: it is not, so that packing would teach nonsense.
    """
    import torch

    device = next(model.parameters()).device
    positions = torch.arange(8, device=device).repeat(2).unsqueeze(0)
    ids = torch.arange(16, device=device).unsqueeze(0)
    other = torch.cat([ids[:, :8] + 16, ids[:, 8:]], dim=1)
    model.eval()
    with torch.no_grad():
        first, second = (
            model(input_ids=row, position_ids=positions, use_cache=False).logits[0, 8:].float() for row in (ids, other)
        )
    if (first - second).abs().max() > 1e-3 * first.abs().max():
        raise ValueError(
            "packing: samples in one row see each other in this model (layers without positions, or the method "
            "prefix, whose keys stand before them all); set packing: false."
        )
