"""The HTML pages that people are sent: the frame that they share, and its pieces. What a page says is for its stage.

A page is one self-contained file and loads nothing from a network. All text that is handed in is escaped; only the
parts of `page` are HTML already.

    page("收货信息：评测报告", [heading("Base against tuned"), table(("split", "n"), [("test_iid", "24")])])
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Final


def page(title: str, parts: Iterable[str]) -> str:
    """Return the page: `title` above its parts, which are HTML."""
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{html.escape(text)}</h2>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a header; where the window is narrow it scrolls by itself."""
    lines = [_line("th", head), *(_line("td", row) for row in rows)]
    return f'<div class="table"><table>{"".join(lines)}</table></div>'


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def entry(texts: Mapping[str, str]) -> str:
    """Return what there is to read of one sample: texts by name, a plain word of ours; the one named `wrong` is red."""
    lines = (f'<dt>{name}</dt><dd class="{name}">{html.escape(text)}</dd>' for name, text in texts.items())
    return f"<dl>{''.join(lines)}</dl>"


_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2433; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; }} img {{ max-width: 100%; }}
.headline {{ font-size: 1.15rem; background: #eef4ff; padding: .8rem 1rem; }}
.table {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; }}
td, th {{ padding: .35rem .6rem; border-bottom: 1px solid #dde; text-align: left; vertical-align: top; }}
td {{ overflow-wrap: anywhere; min-width: 3rem; }}
dl {{ border-left: 3px solid #ccd; padding-left: 1rem; margin: 1.2rem 0; }} dt {{ color: #567; font-size: .85rem; }}
dd {{ margin: 0 0 .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }} .wrong {{ color: #b3261e; }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
