"""The plots that people look at, as images for Markdown and HTML.

SVG with its text kept as text: the browser's fonts draw the Chinese labels, so no CJK font need be installed where the
plot is made.
"""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

_COLOURS = {"base": "#9aa5b1", "base_few_shot": "#c9a227", "tuned": "#2f6fde", "aligned": "#1e8e5a"}
_COLOURS |= {"best_of_n": "#8e4ec6", "own": _COLOURS["tuned"], "joint": "#8e4ec6"}

# The share of the steps over which the training loss is averaged: batches scatter more than the model learns in a step.
_SMOOTHED: Final = 0.1


def _figure(title: str, x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _data_uri(figure: Any) -> str:
    import matplotlib

    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "cs-assets", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The glyphs are drawn by the browser, so it does not matter that they are missing here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue().encode()).decode()


def loss_curve(train: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]] = ()) -> str:
    """Return a data URI: loss by step, as (step, loss): each step's faintly, their moving mean, validation as is."""
    figure, axes = _figure("loss", "step", "loss")
    steps, losses = [step for step, _ in train], [loss for _, loss in train]
    half = round(_SMOOTHED * len(losses) / 2)
    if half:
        axes.plot(steps, losses, color=_COLOURS["tuned"], alpha=0.3, linewidth=0.8, label="training, each step")
        label = f"training, mean of {2 * half + 1} steps"
        axes.plot(steps, moving_mean(losses, half), color=_COLOURS["tuned"], label=label)
    else:
        axes.plot(steps, losses, color=_COLOURS["tuned"], label="training")
    if validation:
        axes.plot(*zip(*validation, strict=True), "o-", color="#b3261e", markersize=4, label="validation")
    axes.locator_params("x", integer=True)  # there is no half of a step
    axes.legend(frameon=False, loc="upper right")  # the curve leaves it free: it falls
    return _data_uri(figure)


def moving_mean(values: Sequence[float], half: int) -> list[float]:
    """Return for each value the mean of it and up to `half` on either side, of fewer where the values end."""
    around = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(near) / len(near) for near in around]


def score_histogram(good: Sequence[float], bad: Sequence[float], threshold: float) -> str:
    """Return a data URI: the distribution of a score in [0, 1] by label, with the threshold."""
    figure, axes = _figure("judge's score by label", "score", "samples")
    axes.hist([list(good), list(bad)], bins=20, range=(0, 1), label=["good", "corrupted"], color=["#2f6fde", "#b3261e"])
    axes.axvline(threshold, color="#1d2433", linestyle="--", label=f"threshold {threshold:.2f}")
    axes.legend(frameon=False)
    return _data_uri(figure)


def reliability_diagram(bins: Sequence[tuple[float, float, int]]) -> str:
    """Return a data URI: how often something is so by how probable it was said to be, as (confidence, accuracy, n).

    The area of a point stands for its cases; on the dashed line probabilities are what they say.
    """
    figure, axes = _figure("reliability", "probability said", "share that is so")
    axes.plot([0, 1], [0, 1], color="#9aa4b2", linestyle="--")
    cases = max((n for _, _, n in bins), default=1)
    confidence, accuracy, n = zip(*bins, strict=True) if bins else ((), (), ())
    axes.scatter(confidence, accuracy, [20 + 180 * count / cases for count in n], color=_COLOURS["tuned"])
    return _data_uri(figure)


def field_bars(per_field: Mapping[str, Mapping[str, float]], title: str = "field accuracy") -> str:
    """Return a data URI: accuracy by field, or by split, one bar a model (model -> field -> accuracy)."""
    figure, axes = _figure(title, "", "accuracy")
    fields = list(next(iter(per_field.values())))
    width = 0.8 / len(per_field)
    for number, (model, values) in enumerate(per_field.items()):
        positions = [i + width * (number - (len(per_field) - 1) / 2) for i in range(len(fields))]
        axes.bar(positions, [values[f] for f in fields], width, label=model, color=_COLOURS.get(model, "#555"))
    axes.set_xticks(range(len(fields)), fields)
    if max(map(len, fields), default=0) > 8:  # names of splits stand over each other when they lie
        axes.tick_params("x", rotation=20)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return _data_uri(figure)


def trial_panels(numbers: Mapping[str, Sequence[float]], losses: Sequence[float | None]) -> str:
    """Return a data URI: the loss of each trial over each number that was searched (name -> its value in each trial).

    Trials without a loss are left out; the lowest one stands out.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 2.8), layout="constrained")
    panels = figure.subplots(1, len(numbers), sharey=True, squeeze=False)[0]
    lowest = min((loss for loss in losses if loss is not None), default=None)
    for axes, (name, values) in zip(panels, numbers.items(), strict=True):
        measured = [(value, loss) for value, loss in zip(values, losses, strict=True) if loss is not None]
        colours = [_COLOURS["aligned" if loss == lowest else "base"] for _, loss in measured]
        axes.scatter(*(zip(*measured, strict=True) if measured else ([], [])), c=colours)
        axes.set(xlabel=name, xscale="log")
        if len(chosen := sorted({value for value, _ in measured})) <= 6:  # of a list: marked as they stand there
            axes.set_xticks(chosen, [f"{value:g}" for value in chosen])
            axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("validation loss")
    return _data_uri(figure)


def length_histogram(lengths: Sequence[int]) -> str:
    """Return a data URI: how long the messages are, in characters."""
    figure, axes = _figure("length of the messages", "characters", "samples")
    axes.hist(list(lengths), bins=30, color=_COLOURS["tuned"])
    return _data_uri(figure)


def share_bars(title: str, counts: Mapping[str, int]) -> str:
    """Return a data URI: how many samples there are of each name, the most frequent on top."""
    names = sorted(counts, key=lambda name: (counts[name], name))
    figure, axes = _figure(title, "samples", "")
    figure.set_figheight(max(1.6, 0.28 * len(names) + 0.9))
    axes.barh([name or "none" for name in names], [counts[name] for name in names], color=_COLOURS["tuned"])
    return _data_uri(figure)


def markdown_image(uri: str, title: str) -> str:
    """Return Markdown that shows a data URI."""
    return f"![{title}]({uri})"


def html_image(uri: str, title: str) -> str:
    """Return HTML that shows a data URI."""
    return f'<p><img alt="{title}" src="{uri}"></p>'
