"""The HTML pages that people are sent: the frame that they share, and its pieces. What a page says is for its stage.

A page is one self-contained file and loads nothing from a network. All text that is handed in is escaped; only the
parts of `page` are HTML already.

    page("收货信息：评测报告", [heading("Base against tuned"), table(("split", "n"), [("test_iid", "24")])])
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

# A text, and whether it is marked.
Piece = tuple[str, bool]
_FIGURE: Final = re.compile(r"<?-?\d[\d., ]*(%.*|\[.*\])?")


def page(title: str, parts: Iterable[str]) -> str:
    """Return the page: `title` above its parts, which are HTML."""
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{html.escape(text)}</h2>"


def folded(title: str, parts: Iterable[str]) -> str:
    """Return parts that stand under a title which opens them; on paper they are open."""
    body = "\n".join(parts)
    return f"<details><summary>{html.escape(title)}</summary>\n{body}\n</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a header, columns of figures flush right; where the window is narrow it scrolls by itself."""
    body = list(rows)
    columns = zip(*body, strict=True)
    figures = [all(_FIGURE.fullmatch(cell) for cell in column if cell) for column in columns] or [False] * len(head)
    makers = [_figure if flush else _plain for flush in figures]
    lines = []
    for tag, row in (("th", head), *(("td", row) for row in body)):
        cells = (make(tag, html.escape(cell)) for make, cell in zip(makers, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="table"><table>{"".join(lines)}</table></div>'


def _plain(tag: str, text: str) -> str:
    return f"<{tag}>{text}</{tag}>"


def _figure(tag: str, text: str) -> str:
    """Return the cell of a figure; its interval stands in small type, and below it where there is no room."""
    mean, _, interval = text.partition(" [")
    return f'<{tag} class="figure">{mean}{f" <small>[{interval}</small>" if interval else ""}</{tag}>'


def entry(texts: Mapping[str, str | Sequence[Piece]]) -> str:
    """Return what there is to read of one sample: texts by name, a plain word of ours; the one named `wrong` is red."""
    lines = (f'<dt>{name}</dt><dd class="{name}">{_text(text)}</dd>' for name, text in texts.items())
    return f"<dl>{''.join(lines)}</dl>"


def _text(text: str | Sequence[Piece]) -> str:
    pieces = [(text, False)] if isinstance(text, str) else text
    return "".join(f"<mark>{html.escape(piece)}</mark>" if marked else html.escape(piece) for piece, marked in pieces)


_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1d2433; --soft: #5b6778; --line: #d9deea; --tint: #eef4ff; --red: #b3261e;
  --good: #c9efd3; --bad: #fbd3cf; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e3e7ee; --soft: #9aa6b8; --line: #39424f; --tint: #1f2b40;
  --red: #ff8a80; --good: #1d5230; --bad: #6e2a25; }} img {{ background: #fff; border-radius: 4px; }} }}
body {{ font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; color: var(--text); }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }} img {{ max-width: 100%; }}
.headline {{ font-size: 1.15rem; background: var(--tint); padding: .8rem 1rem; border-radius: 4px; margin: .5rem 0; }}
.note {{ color: var(--soft); font-size: .87rem; margin: .4rem 0; max-width: 52rem; }}
.headline b {{ white-space: nowrap; }}
.table {{ overflow-x: auto; background: linear-gradient(to left, Canvas 1rem, transparent) right / 2rem 100% no-repeat
  local, linear-gradient(to left, #8886, transparent) right / .8rem 100% no-repeat scroll; }}
table {{ border-collapse: collapse; min-width: 50%; }}
td, th {{ padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }}
th {{ color: var(--soft); font-weight: 600; white-space: nowrap; }}
.figure {{ text-align: right; font-variant-numeric: tabular-nums; }}
small {{ color: var(--soft); white-space: nowrap; }}
dl {{ border-left: 3px solid var(--line); padding-left: 1rem; margin: 1.4rem 0; display: grid; gap: .2rem 1rem;
  grid-template-columns: max-content minmax(0, 1fr); align-items: baseline; }}
dt {{ color: var(--soft); font-size: .85rem; }} .wrong {{ color: var(--red); }}
dd {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }}
details {{ border: 1px solid var(--line); border-radius: 4px; padding: 0 1rem; margin: 1rem 0; }}
summary {{ cursor: pointer; margin: 0 -1rem; padding: .6rem 1rem; font-weight: 600; }}
details h2 {{ font-size: 1rem; margin-top: 1.6rem; }}
mark {{ color: inherit; background: var(--bad); border-radius: 2px; }} .wanted mark {{ background: var(--good); }}
@media (max-width: 40rem) {{ table {{ font-size: .87rem; }} td, th {{ padding: .3rem; }}
  .figure {{ white-space: nowrap; }} .figure small {{ display: block; }} }}
@media print {{ :root, body {{ font-size: 11px; }} body {{ max-width: none; margin: 0; }}
  .table {{ overflow: visible; background: none; }}
  details::details-content {{ content-visibility: visible; height: auto; }}
  h2, dt {{ break-after: avoid; }} tr, dl, img {{ break-inside: avoid; }}
  mark {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
