"""Pages: whatever a customer or a model wrote is shown as text, and nothing is loaded."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from cs_assets import pages

# What a parser gives back as it was: no white space that it folds, no characters that HTML has no place for.
TEXTS = st.text(st.sampled_from("<>&\"'{}=/ab 张三，\n"), min_size=1).map(str.strip).filter(bool)


class Texts(HTMLParser):
    """Collects the text of each element and the elements' names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


@given(title=TEXTS, cells=st.lists(TEXTS, min_size=1), said=TEXTS)
def test_texts_come_out_as_they_were_handed_in(title: str, cells: list[str], said: str) -> None:
    body = [pages.heading(title), pages.table(cells, [cells]), pages.entry({"message": said})]
    found = Texts("".join(body))
    assert found.texts == [title, *cells, *cells, "message", said]
    assert found.tags == [
        "h2",
        "div",
        "table",
        "tr",
        *["th"] * len(cells),
        "tr",
        *["td"] * len(cells),
        "dl",
        "dt",
        "dd",
    ]


def test_columns_of_figures_are_told_apart_from_those_of_texts() -> None:
    rows = [("a", "1,200", "85.0 % [72.5, 95.0]", "<0.001", "3"), ("b", "7, 8", "-5.0 % [-9.1, 0.0]", "", "3 of 4")]
    page = pages.table(("text", "n", "share", "p", "both"), rows)
    assert [f'class="figure">{name}' in page for name in ("text", "n", "share", "p", "both")] == [0, 1, 1, 1, 0]
    assert page.count("<td>") == 4
    assert '<td class="figure">85.0 % <small>[72.5, 95.0]</small></td><td class="figure">&lt;0.001</td>' in page
    assert pages.table(("text",), []) == '<div class="table"><table><tr><th>text</th></tr></table></div>'


def test_a_figure_that_is_no_share_has_its_interval_in_small_type_too() -> None:
    page = pages.table(("AUC",), [("0.957 [0.931, 0.977]",), ("",)])
    assert '<td class="figure">0.957 <small>[0.931, 0.977]</small></td>' in page


def test_what_is_folded_has_its_title_and_its_parts() -> None:
    found = Texts(pages.folded("Data <card>", [pages.heading("Splits"), "<p>parts</p>"]))
    assert found.tags == ["details", "summary", "h2", "p"]
    assert found.texts == ["Data <card>", "Splits", "parts"]


@given(pieces=st.lists(st.tuples(TEXTS, st.booleans()), min_size=1))
def test_marked_pieces_are_texts_too(pieces: list[tuple[str, bool]]) -> None:
    found = Texts(pages.entry({"wanted": pieces}))
    assert "".join(found.texts[1:]) == "".join(piece for piece, _ in pieces)
    assert found.tags.count("mark") == sum(marked for _, marked in pieces)


def test_a_page_is_whole_and_loads_nothing() -> None:
    page = pages.page("收货 <信息> {x}", [pages.entry({"wrong": "姓名"}), "<p>{plain}</p>"])
    found = Texts(page)
    assert found.texts.count("收货 <信息> {x}") == 2
    assert {"html", "style", "h1", "dl"} <= set(found.tags)
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert '<dd class="wrong">姓名</dd>' in page
    assert "<p>{plain}</p>" in page
    assert "http" not in page
