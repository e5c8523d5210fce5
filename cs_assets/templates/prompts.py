"""What an LLM is told when it is asked for variants of a sentence: a prompt by family, moods and situations by call.

Here belong the words only. Who asks, how often and what is done with the answers stands in `llm_variants.py`.

    variant_prompt("intent", "{{订单号}}怎么还没到", examples=["{{商品}}到哪了"], count=4, call=Call(seed=0, number=1))
"""

from collections.abc import Sequence
from string import Template
from typing import Final, NamedTuple

# Temperature of each call of a seed, in turns: close to the seed first, then freer.
TEMPERATURES: Final = (0.7, 1.0, 1.2)
_MOODS: Final = (
    "随手打的，很口语，能省就省",
    "客客气气，会说麻烦、谢谢",
    "很着急，赶时间",
    "等得不耐烦，有点生气，但不骂人",
    "语音转成的文字，没有标点，带“那个”“然后”",
    "上了年纪，打字慢，话说得简单直接",
    "年轻人，爱用语气词和网络说法",
    "公司采购，正式一点，说得清楚",
    "话少，只写要紧的，用空格或换行隔开",
)
_ROLE: Final = "你在为电商客服模型准备训练数据，熟悉中国网店的顾客在手机上怎么打字。"
# What the sentence is, what it is for, and what must not change besides the slots.
_TASKS: Final[dict[str, str]] = {
    "extraction": (
        "下面是一条顾客消息的句式，模型要从这种消息里抽取参数。请换着说法重写：可以调整参数的先后、换标签（收件人、收货人、联系人…）、"
        "用整句或罗列、换分隔的方式。同一个地址的各级参数要挨在一起，先后不变。旧地址、旧电话仍然是作废的那个，新的仍然是新的。"
    ),
    "dialogue": (
        "下面是顾客在一次多轮对话里说的一句话的句式，前后还有别的话。请换着说法重写这一句：仍然只做这一件事，不补充新的要求，"
        "不打招呼，不提对话里没有说过的东西。“不是…是…”这类更正，要保持哪个作废、哪个生效。"
    ),
    "tool_call": (
        "下面是一条顾客消息的句式，客服助手要根据它调用函数。请换着说法重写：要办的事一件不多、一件不少，先后不变，"
        "没有给的信息不要补上，也不要把办事说成询问、把询问说成办事。"
    ),
    "workflow": (
        "下面是报修流程里顾客在某一步说的一句话的句式。请换着说法重写：顾客在这一步的意思（答应、拒绝、换时间、没解决…）必须一模一样，"
        "不要多说别的步骤才会说的话。"
    ),
    "reply": (
        "下面是一条顾客投诉或咨询的句式，客服会按它写回复。请换着说法重写：遇到的问题、要求和情绪都不变，不增加别的问题，"
        "不替客服说话，不写回复。原句是英文就用英文写。"
    ),
    "intent": (
        "下面是顾客的第一句话的句式，模型要判断它属于哪一类问题。请换着说法重写：必须仍然只属于这一类，不要带上别的诉求"
        "（比如把问进度说成要退款）。"
    ),
    "identity": (
        "下面是顾客问客服助手“你是谁、你能做什么”一类问题的句式。请换着说法重写：问的还是同一件事，不要替助手回答，"
        "不要写出任何公司、模型或人的名字。"
    ),
    "knowledge": (
        "下面是店铺同事请助手转换资料的一句话的句式，里面有资料（json、表格或文字）和要求。请只换要求的说法和位置：资料部分"
        "（花括号、引号、竖线、字段名、先后）一个字都不要动，要转成什么形式也不能变。"
    ),
}
_GENERAL: Final = "下面是一条顾客消息的句式。请换着说法重写，意思必须一样：要办的事、问的事、语气的方向都不变。"
_SITUATIONS: Final[dict[str, tuple[str, ...]]] = {
    "extraction": ("刚下完单补地址", "客服问了以后回答", "换了收货地方", "帮家人或朋友收", "寄到单位", "第二次来催"),
    "tool_call": ("第一次来报修", "改了好几次时间", "家里有老人小孩", "一边上班一边问", "替家人办"),
    "reply": ("第一次来问", "已经问过一次没人管", "东西急着用", "送人的东西出了问题", "老顾客"),
}
_EVERYDAY: Final = ("刚看到商品", "下单以后", "等快递的时候", "收到货以后", "上班间隙随手问", "晚上躺着问")
_PROMPT: Final = Template("""\
$role
$task

请写出$count条，每条的说法都不一样。这一次说话的人：$mood；情形：$situation（只影响口气，不要写进新的事情）。
要求：
1. 双花括号是参数：每个都原样保留，花括号里的字一个不改，不多写，不漏写，不换成别的参数。
2. 除了参数，不要写出任何真实的姓名、电话、地址、城市、店名、单号、日期或数字。
3. 肯定还是否定、问还是说、哪个是新的哪个是旧的，都和原句一致。
4. 像真人打的字，不要书面腔，不要比原句长很多；只换标点或只加一个“啊”“吧”不算一条。
5. 只写句子本身：不编号，不加引号，不解释。
$examples
只输出一个json对象：{"variants": ["…", "…"]}

模版：
$template""")


class Call(NamedTuple):
    """Which call this is: any number that stands for the seed, and that of the call for it, from 0."""

    seed: int
    number: int

    @property
    def temperature(self) -> float:
        return TEMPERATURES[self.number % len(TEMPERATURES)]


def variant_prompt(family: str, template: str, examples: Sequence[str], count: int, call: Call) -> str:
    """Return the prompt that asks for `count` variants of a template; it ends with the template.

    Args:
        family: key of the scenario's family; one that has no prompt of its own gets the general one.
        template: the sentence with its slots.
        examples: other sentences of the same unit, which show the tone; may be empty.
        count: how many variants the answer shall hold.
        call: decides mood and situation, so that two calls for a seed never ask for the same.
    """
    situations = _SITUATIONS.get(family, _EVERYDAY)
    turn = call.seed * len(TEMPERATURES) + call.number
    shown = "".join(f"\n- {' ⏎ '.join(example.splitlines())}" for example in examples)
    return _PROMPT.substitute(
        role=_ROLE,
        task=_TASKS.get(family, _GENERAL),
        count=count,
        mood=_MOODS[turn % len(_MOODS)],
        situation=situations[turn % len(situations)],
        examples=f"\n同一类的别的句子（看口气，不要照抄；⏎表示换行）：{shown}\n" if examples else "",
        template=template,
    )
