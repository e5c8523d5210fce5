"""Places below the district: the detail of an address, from the township to the door.

Every part is drawn by itself and put together in the order in which addresses are written: township, street and
number (or village and group), then community, company, school or locker, then building, floor and room.
"""

from typing import Final

import numpy as np

ENDINGS: Final = {
    "community": 0.44,
    "office": 0.16,
    "street_only": 0.14,
    "village": 0.12,
    "locker": 0.07,
    "school": 0.04,
    "landmark": 0.03,
}
_STREET_STEMS: Final = [
    "人民",
    "解放",
    "建设",
    "中山",
    "文化",
    "和平",
    "新华",
    "胜利",
    "东风",
    "长江",
    "黄河",
    "迎宾",
    "环城",
    "滨河",
    "科技",
    "学府",
    "创业",
    "工业",
    "民主",
    "光明",
    "朝阳",
    "青年",
    "友谊",
    "团结",
    "幸福",
    "花园",
    "西湖",
    "南京",
    "北京",
    "上海",
    "金山",
    "银河",
    "龙泉",
    "凤凰",
    "翠竹",
    "梅园",
    "兰亭",
    "桂花",
    "松山",
    "海滨",
    "康乐",
    "振兴",
    "兴业",
    "富民",
    "永安",
    "长安",
    "太平",
    "复兴",
    "华山",
    "泰山",
    "天山",
    "珠江",
    "淮海",
    "江滨",
    "学院",
    "体育",
    "车站",
    "机场",
    "港湾",
    "市场",
    "教育",
    "健康",
    "丽水",
    "明珠",
    "彩虹",
    "星海",
]
_STREET_ENDS: Final = (
    "路",
    "路",
    "路",
    "街",
    "街",
    "大道",
    "大街",
    "巷",
    "东路",
    "西路",
    "南路",
    "北路",
    "中路",
    "一路",
    "二路",
    "三街",
)
_COMMUNITIES: Final = [
    "阳光",
    "金色",
    "水岸",
    "锦绣",
    "碧水",
    "蓝天",
    "翡翠",
    "香榭",
    "东方",
    "世纪",
    "绿地",
    "万科",
    "恒大",
    "保利",
    "中海",
    "融创",
    "龙湖",
    "碧桂园",
    "华润",
    "招商",
    "金地",
    "富力",
    "雅居乐",
    "和谐",
    "康居",
    "祥和",
    "春天",
    "丽景",
    "御景",
    "湖畔",
    "山水",
    "城市",
    "滨江",
    "江南",
    "盛世",
    "名门",
    "紫荆",
    "玫瑰",
    "银杏",
    "梧桐",
    "海棠",
]
_COMMUNITY_ENDS: Final = (
    "花园",
    "小区",
    "家园",
    "新城",
    "公寓",
    "苑",
    "华府",
    "雅苑",
    "名邸",
    "国际",
    "广场",
    "新村",
    "府",
    "里",
)
_OFFICES: Final = (
    "创新",
    "科技",
    "商务",
    "环球",
    "金融",
    "国贸",
    "时代",
    "财富",
    "中心",
    "软件",
    "高新技术",
    "电子商务",
    "文创",
    "物流",
)
_OFFICE_ENDS: Final = ("大厦", "产业园", "科技园", "写字楼", "中心", "工业园", "大楼", "园区", "创业园", "广场")
_VILLAGES: Final = (
    "王家",
    "李家",
    "张庄",
    "大石",
    "小河",
    "龙头",
    "上坝",
    "下湾",
    "东风",
    "红星",
    "新民",
    "柳林",
    "桃园",
    "三合",
    "双桥",
    "石桥",
)
_SCHOOLS: Final = (
    "第一中学",
    "实验小学",
    "师范大学",
    "职业技术学院",
    "理工大学",
    "外国语学校",
    "中心小学",
    "人民医院",
    "中医院",
)
_LANDMARKS: Final = (
    "汽车站对面",
    "农贸市场旁边",
    "中国银行楼上",
    "加油站往东200米",
    "超市隔壁",
    "邮局后面",
    "小学门口",
    "移动营业厅旁",
)
_LOCKERS: Final = ("菜鸟驿站", "丰巢柜", "妈妈驿站", "快递超市", "代收点", "兔喜生活")
_SHOPS: Final = ("水果店", "便利店", "五金店", "理发店", "药房", "烟酒店", "服装店", "手机维修店", "奶茶店", "文具店")


def sample_details(rng: np.random.Generator, townships: list[str], urban: list[bool]) -> list[str]:
    """Draw one detail a row; some 40 % name the township.

    Args:
        rng: the generator to draw from.
        townships: each row's township, may be empty.
        urban: whether the row lies in a city's district, where no villages are.

    Returns:
        n strings without white space; none ends with a punctuation mark.
    """
    kinds = rng.choice(list(ENDINGS), len(townships), p=list(ENDINGS.values()))
    draws = rng.random((len(townships), 16))
    return [
        _detail("community" if kind == "village" and in_city else kind, township, list(draw))
        for kind, township, in_city, draw in zip(kinds, townships, urban, draws, strict=True)
    ]


def _detail(kind: str, township: str, draws: list[float]) -> str:
    def choose(options: list[str] | tuple[str, ...]) -> str:
        return options[int(draws.pop() * len(options))]

    def number(low: int, high: int) -> str:
        return str(low + int(draws.pop() * (high - low)))

    head = township if kind == "village" or draws.pop() < 0.4 else ""
    if kind == "village":
        return f"{head}{choose(_VILLAGES)}村{number(1, 12)}组" + (f"{number(1, 90)}号" if draws.pop() < 0.6 else "")
    street = f"{choose(_STREET_STEMS)}{choose(_STREET_ENDS)}"
    door = f"{number(1, 999)}号"
    if kind == "street_only":
        return head + street + door + (choose(_SHOPS) if draws.pop() < 0.4 else "")
    if kind == "landmark":
        return head + street + choose(_LANDMARKS)
    if kind == "school":
        return head + (street + door if draws.pop() < 0.6 else "") + choose(_SCHOOLS)
    if kind == "locker":
        return head + street + choose(_COMMUNITIES) + choose(_COMMUNITY_ENDS) + choose(_LOCKERS)
    if kind == "office":
        office = choose(_OFFICES)
        building = office + choose([end for end in _OFFICE_ENDS if not end.startswith(office)])
        floor = number(2, 32)
        room = choose((f"{floor}楼", f"{floor}层", f"{floor}0{number(1, 9)}", f"{floor}0{number(1, 9)}室", "", ""))
        return head + (street + door if draws.pop() < 0.7 else "") + building + room
    community = choose(_COMMUNITIES) + choose(_COMMUNITY_ENDS)
    return head + (street + door if draws.pop() < 0.6 else "") + community + _door(draws)


def _door(draws: list[float]) -> str:
    """Return building, unit and room in one of the spellings that people use."""
    building, unit, floor = 1 + int(draws.pop() * 28), 1 + int(draws.pop() * 4), 1 + int(draws.pop() * 30)
    room = f"{floor}0{1 + int(draws[0] * 4)}"
    spellings = (
        f"{building}栋{unit}单元{room}室",
        f"{building}号楼{unit}单元{room}",
        f"{building}幢{room}室",
        f"{building}-{unit}-{room}",
        f"{building}栋{room}",
        f"{building}号楼{floor}层",
        f"{chr(65 + building % 6)}座{room}室",
        f"{building}#{room}",
    )
    return spellings[int(draws.pop(0) * len(spellings))]
