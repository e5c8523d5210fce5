"""Build technicians.csv and tickets.csv of this folder: who repairs where and when, and the repairs that are booked.

    python build_repair.py

Invented, by a fixed seed, from the tables beside it (divisions.csv, mobile_prefixes.csv, repairable.csv and
solutions.csv): the same tables always give the same bytes. The day of the tables is TODAY, as in
`cs_assets/families/tools.py`. SHOP.md describes the columns.
"""

import csv
import datetime
import random
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 20260610
TODAY = datetime.date(2026, 6, 10)
CUSTOMERS = 500

# Four for each of the ten entity blocks; the twelve cities with a warehouse come first.
CITIES = [
    "北京", "上海", "广州", "深圳", "杭州", "南京", "武汉", "郑州", "成都", "重庆", "西安", "沈阳", "苏州", "天津",
    "长沙", "青岛", "宁波", "合肥", "佛山", "东莞", "厦门", "福州", "济南", "无锡", "昆明", "大连", "哈尔滨",
    "长春", "石家庄", "南昌", "贵阳", "南宁", "太原", "兰州", "常州", "珠海", "温州", "泉州", "烟台", "海口"
]  # fmt: skip
SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
)
GIVEN = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "霞",
    "平", "刚", "婷", "建国", "桂英", "晓东", "志强", "建华", "丽华", "文博", "子涵", "雨桐", "浩然", "思琪",
    "嘉欣", "俊杰", "梦洁", "欣怡", "宇轩", "海燕", "春梅", "国庆", "玉兰", "晓燕", "小红", "志明", "佳琪", "一鸣",
    "诗雨", "天宇", "雪梅", "永强", "秀英", "立军", "凤霞", "振华", "慧敏", "晨曦", "乐乐", "可欣", "建平", "红梅"
]  # fmt: skip
TITLES = ("先生", "女士", "小姐", "老师", "阿姨")
ROADS = [
    "中山路", "人民路", "解放路", "建设路", "和平路", "新华路", "学府路", "文化路", "长江路", "黄河路", "滨河路",
    "环城路", "朝阳路", "光明路", "科技路", "创业路", "花园路", "迎宾路", "工业路", "民主路", "东风路", "复兴路",
    "体育路", "公园路"
]  # fmt: skip
COMMUNITIES = [
    "阳光花园", "金地格林", "万科城", "碧桂园", "绿地世纪城", "保利香槟", "锦绣江南", "翠湖天地", "幸福里",
    "龙湖春江", "水岸名都", "丽景苑", "和平小区", "教师公寓", "东方明珠", "中海国际", "恒大名都", "融创一号院",
    "御景湾", "紫金花园"
]  # fmt: skip
# How often a mobile number begins so; an assumption, as in `cs_assets/atoms/people.py`.
MOBILE_SERIES = {"13": 32, "15": 26, "17": 8, "18": 28, "19": 6}
HOURS = ("09:00", "10:30", "13:30", "15:00", "16:30", "19:00")


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
    print(f"{name}: {len(lines)} rows")


def technicians(rng: random.Random) -> list[list[str]]:
    """Every city has somebody for computers; the other skills are held by some, so that a search may end empty."""
    skills = list(dict.fromkeys(row["skill"] for row in rows("repairable.csv")))
    lines = []
    for city in CITIES:
        for skill in [skills[0], *rng.sample(skills[1:], rng.randint(2, len(skills) - 1))]:
            weekdays = sorted(rng.sample(range(1, 8), rng.randint(3, 6)))
            times = sorted(rng.sample(HOURS, rng.randint(2, 4)))
            name = rng.choice(SURNAMES) + "师傅"
            days = "|".join(map(str, weekdays))
            lines.append([f"T{len(lines) + 1:03d}", name, city, skill, days, "|".join(times)])
    return lines


def addresses(rng: random.Random) -> dict[str, list[str]]:
    """Return the districts of each city, as an address begins with them."""
    found: dict[str, list[str]] = {city: [] for city in CITIES}
    for row in rows("divisions.csv"):
        city = row["city"].removesuffix("市")
        if city in found and (row["county"].endswith("区") or not row["county"]):
            found[city].append(f"{city}市{row['county']}")
    return found


def door(rng: random.Random) -> str:
    room = f"{rng.randint(1, 28)}{rng.randint(1, 4):02d}"
    street = f"{rng.choice(ROADS)}{rng.randint(1, 399)}号"
    if rng.random() < 0.4:
        return f"{street}{rng.choice(COMMUNITIES)}{rng.randint(1, 22)}栋{room}"
    if rng.random() < 0.5:
        return f"{rng.choice(COMMUNITIES)}{rng.randint(1, 22)}号楼{rng.randint(1, 4)}单元{room}"
    return f"{street}{room}室"


def phone(rng: random.Random, prefixes: Sequence[str]) -> str:
    series = rng.choices(list(MOBILE_SERIES), list(MOBILE_SERIES.values()))[0]
    prefix = rng.choice([prefix for prefix in prefixes if prefix.startswith(series)])
    return prefix + "".join(rng.choice("0123456789") for _ in range(11 - len(prefix)))


def tickets(rng: random.Random) -> list[list[str]]:
    """Each customer has two repairs, an open one and one that is over, each of a thing bought from the shop."""
    districts = addresses(rng)
    kinds = {row["kind"]: row for row in rows("repairable.csv")}
    solutions = rows("solutions.csv")
    # Satellite phones, and 170 and 171, which belong to resellers, are left out.
    prefixes = [row["prefix"] for row in rows("mobile_prefixes.csv")]
    prefixes = [prefix for prefix in prefixes if not prefix.startswith(("170", "171", "174", "1349"))]
    full_names = [surname + given for surname in SURNAMES for given in GIVEN]
    names = rng.sample(full_names, CUSTOMERS)
    ticket_ids = rng.sample(range(10_000_000, 90_000_000), 2 * CUSTOMERS)
    lines = []
    for customer in range(CUSTOMERS):
        # About a fifth give a surname and a title, as 王女士 does.
        name = names[customer] if rng.random() < 0.8 else rng.choice(SURNAMES) + rng.choice(TITLES)
        city, number = CITIES[customer % len(CITIES)], phone(rng, prefixes)
        address = rng.choice(districts[city]) + door(rng)
        for state in ("open", "over"):
            solution = rng.choice(solutions)
            kind = kinds[solution["kind"]]
            product = rng.choice(kind["brands"].split("|")) + kind["kind"]
            status = rng.choice(("待派单", "已派单")) if state == "open" else "已完成"
            days = rng.randint(1, 6) if state == "open" else -rng.randint(1, 20)
            time = f"{TODAY + datetime.timedelta(days=days)} {rng.choice(HOURS)}"
            order = "".join(rng.choice("123456789") for _ in range(18))
            order_status = rng.choice(("待发货", "运输中", "派送中")) if state == "open" else "已签收"
            ticket = f"WX{ticket_ids[2 * customer + (state == 'over')]}"
            repair = (product, solution["problem"], time, status)
            lines.append([ticket, str(customer % 10), name, number, city, address, *repair, order, order_status])
    return sorted(lines)


def main() -> None:
    rng = random.Random(SEED)
    header = ("technician_id", "technician", "city", "skill", "weekdays", "times")
    write("technicians.csv", header, technicians(rng))
    header = (
        "ticket_id",
        "block",
        "user_name",
        "phone",
        "city",
        "address",
        "product",
        "problem",
        "serve_time",
        "status",
    )
    write("tickets.csv", (*header, "order_id", "order_status"), tickets(rng))


if __name__ == "__main__":
    main()
