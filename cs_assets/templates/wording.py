"""Words that customers exchange without a change of meaning: labels, greetings, courtesies, phrases.

Here belong the tables, which several modules share: the rewriter puts another word of a group, the signature of a
sentence (`wording`) holds the first of each, the gates know by them what a label says. What is done to a sentence does
not belong here.

    wording("亲，收货人：{{名字.param.输出}}，手机：{{电话}}，谢谢啦")    # 姓名 电话, greeting and thanks gone
"""

import functools
import re
import unicodedata
from typing import Final, NamedTuple

SLOT: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)

# What stands before a value and says what it is. The key is the kind of the value.
LABELS: Final[dict[str, tuple[str, ...]]] = {
    "姓名": ("姓名", "名字", "收货人", "收件人", "联系人", "收货人姓名", "收件人姓名", "称呼"),
    "电话": ("电话", "电话号码", "手机", "手机号", "手机号码", "联系电话", "联系方式", "号码", "tel"),
    "地址": ("地址", "收货地址", "收件地址", "详细地址", "街道地址", "具体地址"),
    "地区": ("地区", "所在地区", "所在区域", "省市区"),
    "省": ("省", "省份"),
    "市": ("市", "城市", "地点"),
    "县": ("县", "区县", "区/县"),
    "邮编": ("邮编", "邮政编码"),
    "订单号": ("订单号", "订单编号", "订单"),
    "工单号": ("工单号", "工单", "维修单", "维修单号", "报修单", "报修单号"),
    "运单号": ("运单号", "快递单号", "物流单号"),
    "单号": ("单号",),
    "商品": ("商品", "商品名称", "产品", "配件"),
    "时间": ("时间", "日期", "上门时间", "送达时间"),
    "故障": ("故障",),
    "备注": ("备注",),
    "收货信息": ("收货信息", "收件信息"),
}

GREETINGS: Final = ("你好，", "亲，", "您好，", "在吗，", "老板，", "客服你好，")
# Before a bare listing of an address only.
LISTING_GREETINGS: Final = (*GREETINGS, "hi，", "亲亲，", "嗯，", "就这个地址：", "地址发你：")
# Before a question.
OPENERS: Final = ("请问", "想问下，", "问一下，", "请问下，")
# Before a request that begins with its verb.
ASKING: Final = ("帮我", "麻烦", "麻烦帮我")
THANKS: Final = ("，谢谢", "，谢谢啦", "，辛苦了", " 谢谢", "，多谢")
# Behind a request.
PLEADING: Final = ("，拜托了",)
# Behind an address that is new to the shop.
HURRY: Final = ("，麻烦尽快", "，快点发哦", "，就这些", " 收到回复一下")


class Exchange(NamedTuple):
    """Where `pattern` matches, any of `words` may stand, each of which it matches there as well."""

    pattern: str
    words: tuple[str, ...]

    def occurs(self, text: str) -> bool:
        return self.put(text, "") != text

    def put(self, text: str, word: str) -> str:
        """Return the text with `word` wherever the pattern matches outside of a slot."""
        if not re.search(self.pattern, text):
            return text
        slots = [match.span() for match in SLOT.finditer(text)]

        def replacement(match: re.Match[str]) -> str:
            return match[0] if any(start <= match.start() < end for start, end in slots) else word

        return re.sub(self.pattern, replacement, text)


def alternatives(words: tuple[str, ...]) -> str:
    """Return a pattern for any of the words; a longer one wins over its beginning."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_LABEL_END: Final = r"(?=[:：】])"
_NAMES: Final = tuple(word for word in LABELS["姓名"] if word != "称呼")
_PHONES: Final = tuple(word for word in LABELS["电话"] if word != "号码")
# A clause ends here.
_END: Final = r"(?=[，。,？?！!~\s]|$)"
EXCHANGES: Final = (
    # Labels.
    Exchange(rf"(?<!\w)(?:{alternatives(_NAMES)}){_LABEL_END}", _NAMES),
    Exchange(rf"(?<!\w)(?:{alternatives(_PHONES)})(?=[:：])", _PHONES),
    Exchange(rf"(?<=【)(?:{alternatives(_PHONES)})(?=】)", _PHONES[:-1]),
    Exchange(r"(?<!\w)(?:详细|收货|收件)?地址(?=[:：】 ] ?\{\{地址)", ("地址", "详细地址", "收货地址", "收件地址")),
    Exchange(r"(?<!\w)(?:详细|街道|具体)地址(?=[:：】] ?\{\{(?:详细|含地区))", ("详细地址", "街道地址", "具体地址")),
    Exchange(rf"(?<!\w)(?:{alternatives(LABELS['地区'])}){_LABEL_END}", LABELS["地区"]),
    Exchange(r"(?:邮政编码|邮编)(?=\{\{邮编)|(?<!\w)(?:邮政编码|邮编)(?=[:：】])", LABELS["邮编"]),
    Exchange(r"收[件货]人(?!姓名)", ("收件人", "收货人")),
    Exchange(
        r"(?<!\w)(?:联系电话|手机号|电话|手机)(?=(?:是|改成)?\{\{电话|就写|跟)", ("电话", "手机", "手机号", "联系电话")
    ),
    Exchange(r"(?<!\w)(?:收货|收件)?地址(?=\{\{地址)", ("地址", "收货地址", "收件地址")),
    Exchange(r"订单号(?=\{\{订单号)|(?<![\w}])(?:订单|单号)(?=\{\{订单号)", ("订单号", "订单", "单号")),
    Exchange(
        r"(?<!\w)(?:维修单|报修单|工单|单号|工单号)(?=\{\{工单号)", ("工单", "维修单", "报修单", "工单号", "单号")
    ),
    # Greetings and courtesies.
    Exchange(r"^(?:亲亲|亲|老板|客服你好|你好|您好)(?=，)", ("亲", "老板", "客服你好", "你好", "您好")),
    Exchange(r"^(?:在吗|在不在)(?=[\n ，])", ("在吗", "在不在")),
    Exchange(r"(?:谢谢[啦啊了]?|多谢|辛苦(?:您|你)?了)(?=~?$)", ("谢谢", "谢谢啦", "谢谢了", "多谢", "辛苦了")),
    Exchange(
        r"(?:麻烦帮我|麻烦帮忙|麻烦|(?<![你您])帮我|帮忙|(?<!申)请)(?=[改转]?寄到|[发送]到|查|登记|把|取消)",
        ("麻烦", "麻烦帮我", "帮我", "帮忙"),
    ),
    Exchange(r"不好意思(?=[，\s])|抱歉(?=，)|对不起(?=，)", ("不好意思", "抱歉", "对不起")),
    Exchange(r"^(?:请问|想问下|问一下|请问下|问下)(?=[，\s])", ("请问", "想问下", "问一下", "请问下")),
    Exchange(r"收到(?:回我一下|回复一下|说一声)", ("收到回我一下", "收到回复一下", "收到说一声")),
    # Sending.
    Exchange(r"(?<![改转收人])[寄发送]到(?=\{\{(?!时间|日期))", ("寄到", "发到", "送到")),
    Exchange(r"[寄发]给(?=\{\{)", ("寄给", "发给")),
    Exchange(r"[寄发](?=这个地址)", ("寄", "发")),
    Exchange(r"(?:改成|改为|换成)(?=：?\{\{(?![^{}]*状态))", ("改成", "换成")),
    Exchange(r"给你发下地址|(?<!你)发下地址|地址发你", ("给你发下地址", "发下地址", "地址发你")),
    Exchange(r"我再发一遍|再给你发一遍|再发一次", ("我再发一遍", "再给你发一遍", "再发一次")),
    Exchange(r"作废(?=，千万)|不用了(?=，千万)", ("作废", "不用了")),
    # Correcting.
    Exchange(r"改下地址|改一下地址|换个地址", ("改下地址", "改一下地址", "换个地址")),
    Exchange(r"(?<=地址|电话)(?:填错了|写错了)", ("填错了", "写错了")),
    Exchange(r"没写全|没填全|没写完整", ("没写全", "没填全", "没写完整")),
    Exchange(r"其他不变|别的不变|其余不变", ("其他不变", "别的不变", "其余不变")),
    Exchange(r"别用了|不要用了", ("别用了", "不要用了")),
    Exchange(r"停机了|停用了", ("停机了", "停用了")),
    Exchange(r"(?:快递到了|快递来了|送货的时候)(?=打)", ("快递到了", "快递来了", "送货的时候")),
    Exchange(r"下单的时候|下单时(?!间)", ("下单的时候", "下单时")),
    Exchange(r"选好了(?=，)|选过了(?=，)", ("选好了", "选过了")),
    Exchange(r"纸质发票请寄(?=：)|纸质发票寄到(?=：)", ("纸质发票请寄", "纸质发票寄到")),
    Exchange(r"不用动|不用改", ("不用动", "不用改")),
    # Asking.
    Exchange(
        rf"怎么办(?:啊|呀)?{_END}|咋办{_END}|咋整{_END}|怎么弄(?:啊|呀)?{_END}", ("怎么办", "咋办", "咋整", "怎么弄")
    ),
    Exchange(r"什么时候|啥时候|几时", ("什么时候", "啥时候")),
    Exchange(r"(?:怎么|咋|为什么|为啥)还(?=[没不])", ("怎么还", "咋还", "为什么还", "为啥还")),
    Exchange(r"怎么回事|咋回事|什么情况|啥情况", ("怎么回事", "咋回事", "什么情况", "啥情况")),
    Exchange(r"都几天了|好几天了|几天了都", ("都几天了", "好几天了")),
    Exchange(rf"发货了?(?:吗|没|没有){_END}|发了没有?{_END}", ("发货了吗", "发货没", "发货了没", "发了没")),
    Exchange(rf"有现?货吗{_END}|有没有货{_END}|有货没{_END}", ("有货吗", "有现货吗", "有没有货", "有货没")),
    Exchange(rf"到哪(?:里|儿)?了{_END}", ("到哪了", "到哪里了", "到哪儿了")),
    Exchange(rf"(?<![不发])(?:行吗|可以吗|行不行|行不){_END}", ("行吗", "可以吗", "行不行", "行不")),
    Exchange(r"(?:多久|多长时间)(?=能?到)", ("多久", "多长时间")),
    Exchange(rf"要几天{_END}|得几天{_END}", ("要几天", "得几天")),
    Exchange(rf"有没有空{_END}|有空吗{_END}|有空没{_END}|有空不{_END}", ("有没有空", "有空吗", "有空没")),
    Exchange(rf"(?<=[}}的])(?:怎么卖|多少钱|什么价){_END}", ("怎么卖", "多少钱", "什么价")),
    Exchange(rf"来得及吗{_END}|来得及不{_END}|赶得上不{_END}|赶得上吗{_END}", ("来得及吗", "来得及不", "赶得上吗")),
    Exchange(r"(?<=[请帮我忙烦])(?:查下|查一下|查查)|^(?:查下|查一下|查查)", ("查下", "查一下", "查查")),
    Exchange(r"帮我(?:看下|看一下|看看)", ("帮我看下", "帮我看一下", "帮我看看")),
    Exchange(r"怎么解决|怎么处理", ("怎么解决", "怎么处理")),
    # Small words.
    Exchange(r"(?<=订单号\}\})(?:这单|这个订单)", ("这单", "这个订单")),
    Exchange(rf"(?<![\w}}])(?:急用|着急用){_END}", ("急用", "着急用")),
    Exchange(r"(?:我在|我人在)(?=\{\{(?:城市|地点)\}\}(?:[，\s]|$))", ("我在", "我人在")),
    Exchange(r"刚才|刚刚", ("刚才", "刚刚")),
    Exchange(r"跟上次一样|和上次一样", ("跟上次一样", "和上次一样")),
    Exchange(r"什么质量|啥质量", ("什么质量", "啥质量")),
    Exchange(r"为什么(?!还)|为啥(?!还)", ("为什么", "为啥")),
)

_GREETING: Final = re.compile(
    r"^(?:(?:你好|您好|在吗|在不在|在么|有人吗|就这个地址：|地址发你：)[啊呀]?[\s，,。！!~？?]*"
    r"|(?:亲亲|亲|老板|掌柜的?|客服|哈[喽啰]|嗨|嗯+|额|哦|那个|hi|hello)(?=[\s，,。！!~你您])[\s，,。！!~]*)+"
)
_COURTESY: Final = re.compile(
    r"谢谢[啦了啊你您哈]?|多谢|感谢|辛苦(?:您|你)?了|拜托了?|不好意思|抱歉|对不起|麻烦尽快|快点发哦|就这些"
    r"|收到回复一下|收到回我一下|收到说一声|麻烦您?(?=[帮寄发送改转查登把取看给])|帮我|帮忙|劳驾"
    r"|请(?=[帮寄发送改转查登把按])"
)
_LOOKED: Final = re.compile(r"([看查])(?:\1|一下)")
_OPENER: Final = re.compile(r"^(?:请问下?|想问下|问一下|问下|想问问|咨询下)[，,\s]*")
_CHOICE: Final = re.compile(r"(能|可以|行|有|是|会)[不没](?:能|可以|行|有|是|会)([^，。,？?！!\n]*)")
_ASKED: Final = re.compile(rf"(?:了没有|了没|没有|没|不|么){_END}")
_PARTICLES: Final = re.compile(r"[啊呀吧呢哦哈啦嘛呗哟噢喔哒的了~]")
_PUNCTUATION: Final = re.compile(r"[\W_]+")


def wording(text: str) -> str:
    """Return the words of a sentence as all its family says them: slots, greetings, courtesies and particles left out.

    Labels and phrases appear as the first of their group. Where nothing would be left of a sentence without slots (a
    greeting), its plain words are returned.
    """
    plain = _PUNCTUATION.sub("", SLOT.sub("", text))
    return _canonical(text) or ("" if SLOT.search(text) else plain)


def _canonical(text: str) -> str:
    text = _OPENER.sub("", _GREETING.sub("", text.strip()))
    for exchange in EXCHANGES:
        text = exchange.put(text, exchange.words[0])
    text = _label_pattern().sub(lambda match: _kind_of_label(match[1], slot_name(match[2])), text)
    text = _LOOKED.sub(r"\1下", _COURTESY.sub("", text)).replace("可不可以", "能不能").replace("可以", "能")
    text = _ASKED.sub("吗", _CHOICE.sub(r"\1\2吗", SLOT.sub("\ue003", text)))
    return _PARTICLES.sub("", _PUNCTUATION.sub("", text))


@functools.lru_cache(maxsize=1)
def _label_pattern() -> re.Pattern[str]:
    words = tuple(word for group in LABELS.values() for word in group)
    return re.compile(rf"({alternatives(words)})(?=[\s:：】是]*\{{\{{([^}}]*)\}}\}})")


def _kind_of_label(word: str, slot: str) -> str:
    kind = next(kind for kind, words in LABELS.items() if word in words)
    return kind_of_slot(slot) or kind if kind == "单号" else kind


def copy_key(text: str) -> str:
    """Return what two sentences share of which one is a copy: they differ in marks, spaces and particles only.

    Line breaks count, and so does what parts the values of a listing without words: 张三/138 is not 张三 138.
    """
    plain = unicodedata.normalize("NFKC", text)
    key = SLOT.sub(lambda match: f"\ue004{slot_name(match[1])}\ue005", plain)
    if SLOT.search(text) and not wording(text):
        key = re.sub("(?<=\ue005)[^\ue004]+(?=\ue004)", lambda match: _parting(match[0]), key)
    return _PARTICLES.sub("", re.sub("[^\\w\n\ue004-\ue009]|_", "", key))


def _parting(marks: str) -> str:
    kinds = {"\n": "\n", "/": "\ue006", "+": "\ue007", ",": "\ue008", ";": "\ue008", "、": "\ue008", "。": "\ue008"}
    return next((kind for mark, kind in kinds.items() if mark in marks), "\ue009")


def slot_name(expression: str) -> str:
    """Return the slot of what stands between the braces: 名字.param.输出 of `名字.param.输出 | trim`."""
    return expression.partition("|")[0].strip()


def kind_of_slot(slot: str) -> str:
    """Return the kind of value that a slot holds, an empty string where no label names it.

    旧电话 -> 电话, 名字.param.输出 -> 姓名, 地址.param.省 -> 省, 完工单号 -> 工单号.
    """
    leaf = [part for part in slot.split(".") if part not in ("param", "输出")][-1]
    kinds = [(len(word), kind) for kind, words in LABELS.items() for word in words if leaf.endswith(word)]
    return max(kinds)[1] if kinds else ""
