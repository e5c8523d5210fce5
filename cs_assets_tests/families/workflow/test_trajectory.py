"""Trajectories as text: what is written is read back, what departs from the format is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.workflow.trajectory import (
    FINAL,
    REPLY,
    SENT,
    Action,
    Step,
    chat_messages,
    native_messages,
    read,
    read_loosely,
    spliced,
    write,
)

LINES = st.from_regex(r"\S[^\n]{0,20}", fullmatch=True)
CALLS = st.builds(Step, thought=LINES, action=st.builds(Action, name=st.just("Search"), input=LINES), observation=LINES)
REPLIES = st.builds(Step, thought=LINES, action=st.builds(Action, name=st.just(REPLY), input=LINES), observation=LINES)
LASTS = st.builds(Step, thought=LINES, action=st.builds(Action, name=st.just(FINAL), input=LINES))
TEXT = """Thought: 先查。
Action: SearchSolution
Action Input: {"problem": "卡纸"}
Observation: {"steps": "打开后盖"}
Thought: 让客户试。
Action: Reply
Action Input: 打开后盖试试
Observation: 好了
Thought: 好了。
Final: 不客气"""


@given(steps=st.lists(CALLS | REPLIES, max_size=4), last=LASTS)
def test_what_is_written_is_read_back(steps: list[Step], last: Step) -> None:
    assert read(write([*steps, last])) == [*steps, last]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Thought: 先查。", "先查。", 1),
        ("Action Input: 打开后盖试试", "打开后盖试试", 5),
        ("Observation: 好了\n", "", 5),
        ("Final: 不客气", "", 9),
        ("Final: 不客气", "Final: 不客气\n谢谢", 9),
        ("Thought: 让客户试。", "Thought: 让客户试。\n", 5),
    ],
)
def test_a_departure_from_the_format_is_refused_with_its_line(old: str, new: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"line {line}:"):
        read(TEXT.replace(old, new))


def test_prose_around_a_trajectory_is_refused_and_read_loosely() -> None:
    text = f"好的：\n{TEXT}\n以上。"
    with pytest.raises(ValueError, match="line 1:"):
        read(text)
    assert [step.action.name for step in read_loosely(text)] == ["SearchSolution", REPLY, FINAL]


@given(text=st.text() | st.text(alphabet='TAFO: \nhoughtinale{}"'))
def test_any_text_is_read_loosely(text: str) -> None:
    assert all(isinstance(step, Step) for step in read_loosely(text))


@pytest.mark.parametrize("text", ["", "[1]", "{", '"a"', "[" * 100_000])
def test_arguments_that_are_no_object_are_none(text: str) -> None:
    assert Action(name="Search", input=text).arguments() is None


def test_only_the_assistants_messages_are_its_own_words() -> None:
    messages = chat_messages(TEXT)
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "user", "assistant"]
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    assert not any(re.search('Observation|打开后盖"|^好了', text) for text in said)
    assert messages[1]["content"] == '{"steps": "打开后盖"}'


def test_that_a_reply_was_sent_is_a_tools_word() -> None:
    [_, sent, _] = chat_messages(
        f"Thought: 等。\nAction: Reply\nAction Input: 稍等\nObservation: {SENT}\nThought: 完。\nFinal: 好"
    )
    assert sent == {"role": "tool", "content": SENT}


def test_a_broken_trajectory_is_one_message() -> None:
    assert chat_messages("随便说说") == [{"role": "assistant", "content": "随便说说"}]


def test_messages_spliced_into_the_true_observations_are_the_trajectory_again() -> None:
    said = [message["content"] for message in chat_messages(TEXT) if message["role"] == "assistant"]
    assert spliced(TEXT, said) == TEXT
    assert "打开后盖试试" not in spliced(TEXT, [said[0], "Thought: 嗯。\nAction: Reply\nAction Input: 嗯", said[2]])


def test_messages_that_are_missing_leave_a_gap() -> None:
    with pytest.raises(ValueError, match="line 1:"):
        read(spliced(TEXT, []))


def test_a_trajectory_has_calls_with_results_replies_with_answers_and_an_end() -> None:
    steps = [
        Step(
            thought="先查", action=Action(name="SearchSolution", input='{"problem": "不充电"}'), observation='{"n": 0}'
        ),
        Step(thought="要问", action=Action(name=REPLY, input="什么时候方便？"), observation="明天上午"),
        Step(thought="先安抚", action=Action(name=REPLY, input="稍等"), observation=SENT),
        Step(thought="结束", action=Action(name=FINAL, input="好的")),
    ]
    call, result, *rest = native_messages(steps)
    assert call["content"] == "先查"
    assert call["tool_calls"][0]["function"] == {"name": "SearchSolution", "arguments": '{"problem": "不充电"}'}
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": '{"n": 0}'}
    assert [(message["role"], message["content"]) for message in rest] == [
        ("assistant", "什么时候方便？"),
        ("user", "明天上午"),
        ("assistant", "稍等"),
        ("assistant", "好的"),
    ]
