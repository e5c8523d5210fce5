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


def test_a_page_is_whole_and_loads_nothing() -> None:
    page = pages.page("收货 <信息> {x}", [pages.entry({"wrong": "姓名"}), "<p>{plain}</p>"])
    found = Texts(page)
    assert found.texts.count("收货 <信息> {x}") == 2
    assert {"html", "style", "h1", "dl"} <= set(found.tags)
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert '<dd class="wrong">姓名</dd>' in page
    assert "<p>{plain}</p>" in page
    assert "http" not in page
