"""The coherence check finds planted faults of each kind, and leaves usual spellings alone."""

import copy
from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.atoms.blocks import CHUNK_ROWS
from cs_assets.atoms.checks import atoms_are_coherent
from cs_assets.atoms.coherence import shipping_faults
from cs_assets.atoms.divisions import all_divisions
from cs_assets.partitions import scenario_partitions

Row = dict[str, Any]
Change = Callable[[Row], object]


def coherent(atoms: pl.DataFrame, city: str, county: str, **slots: Any) -> Row:
    """Return row 41 as a customer in a county, with these slots."""
    official = all_divisions().row(by_predicate=(pl.col("city") == city) & (pl.col("county") == county), named=True)
    given = {"旧县": "", "备用电话": slots["旧电话"], "旧名字": "郗雅", "旧门牌": "和平路1号"} | slots
    return atoms.row(0, named=True) | {"atom_id": 41, "_official": official} | given


@pytest.fixture(scope="module")
def customers(atoms: pl.DataFrame) -> dict[str, Row]:
    """Coherent rows: three in cities, one in 色尼区, a district of 那曲市 with towns and rural townships."""
    return {
        "shenzhen": coherent(
            atoms,
            "深圳市",
            "南山区",
            地址={"param": {"省": "广东省", "市": "深圳市", "县": "南山区"}},
            详细地址="粤海街道科技路88号创新大厦1203室",
            邮编="518052",
            电话="13800138000",
            旧电话="0755-23456789",
            旧地址="湖北恩施州利川市王家村3组",
            旧县="福田",
        ),
        "hong_kong": coherent(
            atoms,
            "九龙",
            "油尖旺区",
            地址={"param": {"省": "香港", "市": "九龙", "县": ""}},
            详细地址="旺角弥敦道610号荣华大厦12楼B室",
            邮编="",
            电话="+852 6123 4567",
            旧电话="852-91234567",
            旧地址="香港新界沙田正街2号",
        ),
        "taipei": coherent(
            atoms,
            "台北市",
            "信义区",
            地址={"param": {"省": "台湾", "市": "台北市", "县": "信义区"}},
            详细地址="民生路一段36号3楼之2",
            邮编="110",
            电话="+886 912 345 678",
            旧电话="886-912345678",
            旧地址="台湾省新北市板桥区文化路12号",
        ),
        "seni": coherent(
            atoms,
            "那曲市",
            "色尼区",
            地址={"param": {"省": "西藏", "市": "那曲市", "县": "色尼区"}},
            详细地址="那曲镇文化路20号3栋602室",
            邮编="852000",
            电话="13800138000",
            旧电话="0896-3456789",
            旧地址="湖北恩施州利川市王家村3组",
        ),
    }


@pytest.fixture(scope="module")
def shenzhen(customers: dict[str, Row]) -> Row:
    return customers["shenzhen"]


def reasons(atoms: pl.DataFrame, row: Row, *changes: Change) -> list[str]:
    """Return what is said of a row after the changes, the joined address following its parts unless it was changed."""
    changed = copy.deepcopy(row) | {"含地区的详细地址": None}
    for change in changes:
        change(changed)
    if changed["含地区的详细地址"] is None:
        changed["含地区的详细地址"] = "".join(changed["地址"]["param"].values()) + changed["详细地址"]
    found = shipping_faults(pl.DataFrame([changed], schema=atoms.schema))
    assert set(found["atom_id"]) <= {41}
    return found["reason"].to_list()


def written(**levels: str) -> Change:
    return lambda row: row["地址"]["param"].update(levels)


def with_(**slots: Any) -> Change:
    return lambda row: row.update(slots)


def nowhere(row: Row) -> None:
    row["地址"]["param"].update(市="", 县="")
    row["旧县"] = ""


def official(**fields: str) -> Change:
    return lambda row: row["_official"].update(fields)


FAULTS = {
    "shenzhen": [
        (official(code="999999"), "division 999999 does not exist"),
        (official(province="湖南省"), "_official contradicts division 440305"),
        (official(area_code="0757"), "_official contradicts division 440305"),
        (written(省="湖南省"), "省 '湖南省' is not 广东省"),
        (written(省="广"), "省 '广' is not 广东省"),
        (written(市="广州市"), "市 '广州市' is not 深圳市"),
        (nowhere, "neither 深圳市 nor 南山区 is written"),
        (with_(旧县="朝阳区"), "旧县 朝阳区 is no other county of 深圳市"),
        (written(县="朝阳区"), "县 '朝阳区' is not 南山区"),
        (with_(旧县="南山区"), "旧县 南山区 is no other county of 深圳市"),
        (with_(旧名字=""), "旧名字 '' is no other name"),
        (with_(旧门牌=""), "旧门牌 '' is "),
        (with_(旧门牌="粤海街道 科技路88号创新大厦1203室"), "旧门牌 '粤海街道科技路88号创新大厦1203室' is "),
        (with_(备用电话="12000138000"), "mobile prefix 1200 is not allotted"),
        (with_(订单尾号="x"), "订单尾号 x does not end "),
        (with_(身份证号="4403051990010112"), "身份证号 '4403051990010112' is no identity number"),
        (with_(数量=""), "数量 is empty"),
        (with_(金额=""), "金额 is empty"),
        (with_(邮编="100020"), "邮编 100020 does not lie in 深圳市南山区 (518000)"),
        (with_(邮编="51805"), "邮编 51805 does not lie in"),
        (with_(邮编="5180520"), "邮编 5180520 does not lie in"),
        (with_(邮编=""), "邮编  does not lie in"),
        (with_(含地区的详细地址="广东省深圳市南山区人民路1号"), "含地区的详细地址 is not 广东省深圳市南山区粤海街道"),
        (with_(详细地址="三里屯街道工体北路8号"), "三里屯街道 does not lie in 深圳市南山区"),
        (with_(旧地址="广东省深圳市朝阳区科技路8号"), "旧地址 广东省深圳市朝阳区科技路8号 begins with no region"),
        (with_(旧地址="科技路8号广东省深圳市南山区"), "旧地址 科技路8号广东省深圳市南山区 begins with no region"),
        (with_(电话="010-62345678"), "landline 010-62345678 lies outside 0755"),
        (with_(电话="0757-2345678"), "landline 0757-2345678 lies outside 0755"),
        (with_(旧电话="0757-2345678"), "landline 0757-2345678 lies outside 0755"),
        (written(市="深"), "市 '深' is not 深圳市"),
        (written(市="深圳新市"), "市 '深圳新市' is not 深圳市"),
        (written(县="南"), "县 '南' is not 南山区"),
        (written(县="南山新区"), "县 '南山新区' is not 南山区"),
        (with_(详细地址="科技路88号广州市华恒科技有限公司"), "广州市华恒科技有限公司 is named after another place"),
        (with_(详细地址="科技路88号广州实验小学东门"), "广州实验小学 is named after another place"),
        (with_(详细地址="粤海街道科技路88号仙桃市人民医院"), "仙桃市人民医院 is named after another place"),
        (with_(详细地址="王家村3组"), "王家村3组 is a village, and 深圳市南山区 is urban"),
        (with_(详细地址="王家村村口小卖部"), "王家村村口小卖部 is a village, and 深圳市南山区 is urban"),
        (written(县="高新区"), "高新区 stands beside 粤海街道, and no township is the zone's"),
        (
            with_(旧地址="广东省深圳市南山区三里屯街道工体北路8号"),
            "旧地址: 三里屯街道 does not lie in 广东省深圳市南山区",
        ),
        (with_(旧地址="香港九龙沙田正街18号"), "旧地址: 沙田正街 does not lie in 香港九龙"),
        (with_(旧地址="广东深圳高新区粤海街道科技路8号"), "旧地址: 粤海街道 does not lie in 广东深圳高新区"),
        (with_(电话="0755-2345678"), "电话 0755-2345678 is no number that exists"),
        (with_(名字={"param": {"输出": ""}}), "名字 '' is no name"),
        (with_(名字={"param": {"输出": "13800138000"}}), "名字 '13800138000' is no name"),
        (with_(详细地址=""), "详细地址 '' is no address"),
        (with_(详细地址="88号"), "详细地址 '88号' is no address"),
        (with_(订单号="12", 订单尾号="12"), "订单号 '12' is no order number"),
        (with_(订单号="12345678901234567x", 订单尾号="567x"), "订单号 '12345678901234567x' is no order number"),
        (with_(商品=""), "商品 is empty"),
        (with_(配送备注=""), "配送备注 is empty"),
        (with_(送达时间=""), "送达时间 is empty"),
        (with_(电话="0755-12345678"), "电话 0755-12345678 is no number that exists"),
        (with_(电话="0755-234567"), "电话 0755-234567 is no number that exists"),
        (with_(电话="12000138000"), "mobile prefix 1200 is not allotted"),
        (with_(旧电话="12000138000"), "mobile prefix 1200 is not allotted"),
        (with_(电话="+8612000138000"), "mobile prefix 1200 is not allotted"),
        (with_(电话="86-12000138000"), "mobile prefix 1200 is not allotted"),
        (with_(电话="120 0013 8000"), "mobile prefix 1200 is not allotted"),
        (with_(电话="120-0013-8000"), "mobile prefix 1200 is not allotted"),
        (with_(电话="120****8000"), "mobile prefix 120* is not allotted"),
        (with_(电话="(010)62345678"), "landline (010)62345678 lies outside 0755"),
        (with_(电话="010—62345678"), "landline 010—62345678 lies outside 0755"),
        (with_(电话="一二零零零一三八零零零"), "mobile prefix 1200 is not allotted"),
        (with_(电话="120xxxx8000"), "mobile prefix 120x is not allotted"),
        (with_(电话="2345678"), "电话 2345678 is no number that exists"),
        (with_(电话="400-12-345"), "电话 400-12-345 is no number that exists"),
        (with_(电话="1380013800"), "电话 1380013800 is no number that exists"),
        (with_(电话="138001380001"), "电话 138001380001 is no number that exists"),
        (with_(电话="+852 6123 4567"), "电话 +852 6123 4567 is no number that exists"),
    ],
    "hong_kong": [
        (written(省="台湾"), "省 '台湾' is not 香港特别行政区"),
        (written(市="新界"), "市 '新界' is not 九龙"),
        (written(县="沙田区"), "县 '沙田区' is not 油尖旺区"),
        (written(县="高新区"), "县 '高新区' is not 油尖旺区"),
        (with_(邮编="518052"), "邮编 518052 does not lie in 九龙油尖旺区"),
        (with_(详细地址="沙田正街18号"), "沙田正街 does not lie in 九龙油尖旺区"),
        (with_(电话="13800138000"), "电话 13800138000 is no number of 香港特别行政区"),
        (with_(电话="+853 6123 4567"), "电话 +853 6123 4567 is no number of 香港特别行政区"),
        (with_(旧电话="+852 6123 456"), "旧电话 +852 6123 456 is no number of 香港特别行政区"),
        (with_(电话="61234567"), "电话 61234567 is no number of 香港特别行政区"),
    ],
    "taipei": [
        (with_(邮编="220"), "邮编 220 does not lie in 台北市信义区 (110)"),
        (with_(邮编="110000"), "邮编 110000 does not lie in 台北市信义区 (110)"),
        (written(县="板桥区"), "县 '板桥区' is not 信义区"),
        (with_(电话="+886 812 345 678"), "电话 +886 812 345 678 is no number of 台湾省"),
    ],
    "seni": [
        (with_(详细地址="那曲镇文化路20号3栋702室"), "那曲镇 has no house with 7 floors"),
        (with_(详细地址="那曲镇文化路20号3栋2单元1203"), "那曲镇 has no house with 12 floors"),
        (with_(详细地址="那曲镇文化路20号创新大厦18楼"), "那曲镇 has no house with 18 floors"),
        (with_(详细地址="那曲镇文化路20号万科花园3栋202室"), "那曲镇 has no 万科花园"),
        (with_(详细地址="孔玛乡丽水路208号春天花园27栋2单元403室"), "孔玛乡 has no flats: "),
        (with_(详细地址="孔玛乡丽水路208号春天花园3-2-403"), "孔玛乡 has no flats: "),
        (with_(详细地址="孔玛乡创新大厦3楼"), "孔玛乡 has no flats: "),
    ],
}
USUAL = {
    "shenzhen": [
        written(),
        written(省="广东", 市="深圳", 县="南山"),
        written(省=""),
        written(市=""),
        written(省="", 市=""),
        written(市="深圳"),
        with_(邮编="518099"),
        with_(详细地址="人民路1号"),
        with_(电话="0755-23456789转801"),
        with_(电话="138****8000"),
        with_(电话="138 0013 8000"),
        with_(电话="13800138000转1234"),
        with_(电话="+8613800138000"),
        *(
            with_(电话=phone)
            for phone in (
                "008613800138000",
                "8613800138000",
                "(+86)13800138000",
                "+86-138-0013-8000",
                "+86 138 0013 8000",
                "138.0013.8000",
                "138－0013－8000",
                "138xxxx8000",
                "13800138000#1234",
                "13800138000,1234",
                "13800138000 转 1234",
                "一三八零零一三八〇〇〇",
                "１３８００１３８０００",
                "075523456789",
                "(0755)23456789",
                "（0755）23456789",
                "0755—23456789",
                "86-0755-23456789",
                "0755-23456789ext.801",
                "0755-23456789分机801",
                "23456789",
                "1 3 8 0 0 1 3 8 0 0 0",
                "0755 2345 6789",
                "0755-2345-6789",
                "(0755)2345 6789",
                "+86-755-23456789",
                "0755-23456789 转 812",
                "0755 2345 6789 分机 06",
                "0755-23456789 ext.302",
                "13800138000转分机1234",
                "400-618-9023 转 5 再转 0",
                "400-618-9023",
                "400-618-9023转5",
            )
        ),
        with_(详细地址="粤海街道 科技路88号 创新大厦 1203室"),
        with_(详细地址="粤海街道　科技路 88 号、创新大厦，1203 室"),
        with_(详细地址="粤海街道，科技路88号创新大厦1203室（北门）"),
        with_(详细地址="G320国道旁"),
        with_(详细地址="31201部队家属院"),
        with_(名字={"param": {"输出": "Kevin Lau"}}),
        with_(名字={"param": {"输出": "Tony老师"}}),
        with_(名字={"param": {"输出": "李**"}}),
        with_(详细地址="科技路88号深圳华恒科技有限公司前台"),
        with_(详细地址="科技路88号第一中学"),
        with_(旧地址="上海浦东新区张江路1号"),
        with_(旧地址="北京市朝阳区三里屯街道工体北路8号"),
        with_(旧地址="北京朝阳三里屯街道工体北路8号"),
        with_(旧地址="广东省东莞市长安镇振安路1号"),
        with_(旧地址="湖北省仙桃市人民路1号"),
    ],
    "hong_kong": [
        written(),
        written(省="香港特别行政区", 县="油尖旺区"),
        written(市=""),
        with_(电话="+85261234567"),
        with_(电话="852-21234567"),
    ],
    "taipei": [written(), written(省="台湾省", 市="台北"), with_(邮编=""), with_(电话="+886912345678")],
    "seni": [
        written(),
        with_(详细地址="孔玛乡王家村3组12号"),
        with_(详细地址="孔玛乡王家村卫生室"),
        with_(详细地址="孔玛乡人民街12号五金店"),
        with_(详细地址="那曲镇金融创业园6楼"),
        with_(详细地址="那曲镇王家村3组"),
        with_(详细地址="人民路12号万科花园27栋2单元1203室"),
    ],
}


@pytest.mark.parametrize(
    ("place", "change", "reason"), [(place, *case) for place, cases in FAULTS.items() for case in cases]
)
def test_a_planted_fault_is_found(
    atoms: pl.DataFrame, customers: dict[str, Row], place: str, change: Change, reason: str
) -> None:
    [found] = reasons(atoms, customers[place], change)
    assert found.startswith(reason)


@pytest.mark.parametrize(("place", "change"), [(place, change) for place, cases in USUAL.items() for change in cases])
def test_a_usual_spelling_is_no_fault(
    atoms: pl.DataFrame, customers: dict[str, Row], place: str, change: Change
) -> None:
    assert reasons(atoms, customers[place], change) == []


@pytest.mark.parametrize("slot", ["电话", "旧电话", "邮编", "订单号", "旧地址", "详细地址"])
def test_a_null_is_a_fault(atoms: pl.DataFrame, shenzhen: Row, slot: str) -> None:
    table = pl.DataFrame([shenzhen | {slot: None}], schema=atoms.schema)
    found = shipping_faults(table)
    assert found.height
    assert found["reason"].null_count() == 0


def test_where_no_county_is_written_none_is_taken_back(atoms: pl.DataFrame, shenzhen: Row) -> None:
    assert reasons(atoms, shenzhen, written(县=""), with_(旧县="")) == []
    assert reasons(atoms, shenzhen, written(县="")) == ["旧县 福田 is no other county of 深圳市"]


def test_a_zone_stands_alone(atoms: pl.DataFrame, shenzhen: Row) -> None:
    assert reasons(atoms, shenzhen, written(县="高新区"), with_(详细地址="科技路88号创新大厦1203室")) == []
    assert reasons(atoms, shenzhen, written(县="前海"), with_(详细地址="科技路88号创新大厦1203室")) == []
    [found] = reasons(atoms, shenzhen, written(县="横琴新区"), with_(详细地址="科技路88号创新大厦1203室"))
    assert found == "县 '横琴新区' is not 南山区"
    [found] = reasons(atoms, shenzhen, written(县="高新区"), with_(详细地址="科技路王家村3组"))
    assert found.endswith("is a village, and 深圳市南山区 is urban")


def test_every_fault_of_a_row_is_told(atoms: pl.DataFrame, shenzhen: Row) -> None:
    assert len(reasons(atoms, shenzhen, written(省="湖南省", 市="长沙市", 县="岳麓区"), with_(邮编="410000"))) == 4


@pytest.mark.parametrize("before", [0, 50, CHUNK_ROWS + 3])
def test_the_row_of_a_fault_is_named_among_many(atoms: pl.DataFrame, shenzhen: Row, before: int) -> None:
    bad = copy.deepcopy(shenzhen) | {
        "邮编": "100020",
        "含地区的详细地址": "广东省深圳市南山区粤海街道科技路88号创新大厦1203室",
    }
    good = atoms.filter(pl.col("atom_id") != 41)
    many = pl.concat([good] * (before // good.height + 1)).head(before)
    table = pl.concat([many, pl.DataFrame([bad], schema=atoms.schema), good.head(5)])
    assert shipping_faults(table)["atom_id"].to_list() == [41]


def test_an_empty_table_has_no_faults(atoms: pl.DataFrame) -> None:
    assert shipping_faults(atoms.head(0)).schema == {"atom_id": pl.UInt32, "reason": pl.String}


def test_the_blocking_check_fails_on_a_fault_and_on_an_empty_table(atoms: pl.DataFrame, shenzhen: Row) -> None:
    bad = pl.DataFrame([shenzhen | {"邮编": "100020"}], schema=atoms.schema)
    assert passes_check(atoms.head(100))
    assert not passes_check(bad)
    assert not passes_check(atoms.head(0))


def passes_check(table: pl.DataFrame) -> bool:
    """Run the blocking check on a table that stands in for the asset, in the scenario's partition."""

    @dg.asset(partitions_def=scenario_partitions)
    def atomic_table() -> pl.DataFrame:
        return table

    result = dg.materialize(
        [atomic_table, atoms_are_coherent],
        partition_key="address_extraction",
        resources={"io_manager": dg.mem_io_manager},
        raise_on_error=False,
    )
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation.passed
