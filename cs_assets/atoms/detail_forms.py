"""The less common ways to write a detail, as tables: forms with their weights, and the words that fill them.

A name in braces is a vocabulary of `vocabularies()` or of `places.py`, which draws from it; {head} is the township
where one is named, {township} always, {local} the city's name, behind a number only, for 镇江 and 新乡 are no
townships. A new way to write an address is one line here. What stands
here must fit any city, town or village; nothing in `RURAL` may name a flat. No word holds 镇, 乡 or 街道 but the
township itself.

    SETTLED["{head}{street}与{street}交叉口{side}{metres}"]     # 人民路与文化街交叉口往东200米
"""

import functools
from typing import Final

from cs_assets.atoms.coined_names import crossed, named

# In cities and in towns. The first forms are ordinary estates, and together weigh as much as all others.
SETTLED: Final = {
    "{head}{street}{house}{community}{phase}{door}": 26,
    "{head}{community}{phase}{door}": 16,
    "{head}{street}{house}{door}": 10,
    "{head}{neighbourhood}{community}{door}": 7,
    "{head}{neighbourhood}{street}{house}{community}{door}": 6,
    "{head}{street}{stretch}{house}{community}{door}": 4,
    "{head}{street}{alley}{number}": 4,
    "{head}{street}{alley}{number}{floor}": 2,
    "{head}{alleyway}{number}{side}户": 1,
    "{head}{street}{community}（{zone}）{door}": 1,
    "{head}{street}{community}({gate}){door}": 1,
    "{head}{street}{house}{community}{door}（{gate}）": 2,
    "{head}{street}{work}{quarters}{door}": 4,
    "{head}{work}{quarters}{door}": 2,
    "{head}{street}与{street}交叉口{community}{door}": 2,
    "{head}{street}{street}路口{community}{door}": 1,
    "{head}{street}与{street}交叉口{way}{metres}{shop}": 2,
    "{head}{street}{street}交汇处{building}{room}": 1,
    "{head}{street}{street}路口{way}{metres}路{side}": 1,
    "{head}{street}{house}{building}{near}{shop}": 2,
    "{head}{community}{near}{shop}": 2,
    "{head}{street}{community}{gate}{shop}": 2,
    "{head}{community}{phase}{building_number}底商{shop}": 1,
    "{head}{street}{number}{name}{shop}": 4,
    "{head}{street}{number}（{name}{shop}）": 1,
    "{head}{street}{name}{shop}（{landmark}{near}）": 1,
    "{head}{landmark}{near}{name}{shop}": 2,
    "{head}{street}{landmark}{near}{metres}": 1,
    "{head}{street}{house}{tower}{room}": 4,
    "{head}{street}{house}{tower}{room}{department}": 2,
    "{head}{street}{tower}{room}{name}{firm}": 3,
    "{head}{street}{number}{building}{room}{local}{company}": 2,
    "{head}{street}{number}{park}{block}{floor}{local}{company}{department}": 2,
    "{head}{street}{number}{park}{block}{storey}": 2,
    "{head}{park}{block}{name}{firm}": 2,
    "{head}{street}{number}{name}{factory}{gate}": 2,
    "{head}{park}{name}{factory}{workshop}": 2,
    "{head}{street}{name}{factory}宿舍楼{bed}": 1,
    "{head}{street}{name}{site}": 1,
    "{head}{market}{stall}": 3,
    "{head}{street}{market}{stall}{name}{shop}": 2,
    "{head}{street}{number}{mall}{mall_floor}{shop}": 3,
    "{head}{mall}{mall_floor}{name}{shop}": 1,
    "{head}{street}{number}{hotel}{hotel_room}": 3,
    "{head}{hotel}（{street}店）{hotel_room}": 1,
    "{head}{street}{number}{local}{hospital}{ward}": 3,
    "{head}{street}{number}{local}{university}{dormitory}": 3,
    "{head}{street}{number}{local}{university}{campus}{dormitory}": 2,
    "{head}{street}{number}{local}{university}{campus}{station}": 1,
    "{head}{street}{number}{local}{primary_school}{primary_class}": 2,
    "{head}{street}{number}{local}{middle_school}{middle_class}": 2,
    "{head}{street}{number}{local}{school}{porter}": 2,
    "{head}{street}{number}{office}": 3,
    "{head}{street}{house}{community}{door}{station}": 1,
    "{head}{community}{gate}{station}": 4,
    "{head}{street}{community}{station}（{near_door}）": 1,
    "{head}{street}{community}{building_number}{station}": 1,
    "{head}{highway}{kilometre}": 1,
    "{head}{street}{number}{bank}": 1,
    "{head}{street}{number}{village_in_city}{alley}{house_number}": 2,
    "{head}{unit_number}部队{barracks}": 1,
    "{head}{street}·{community}{door}": 1,
}
# In villages, of counties, towns and rural townships: no flats, no storeys in digits.
RURAL: Final = {
    "{township}{village}{group}": 12,
    "{township}{village}{group}{house_number}": 8,
    "{township}{village}{house_number}": 6,
    "{township}{village}": 3,
    "{township}{village}{hamlet}": 6,
    "{township}{village}{hamlet}{group}": 3,
    "{township}{village}{hamlet}{house_number}": 3,
    "{township}{hamlet}{house_number}": 3,
    "{township}{village}{spot}": 8,
    "{township}{village}{group}（{spot}）": 3,
    "{township}{village}{group}{spot}": 3,
    "{township}{village}{hamlet}{spot}": 2,
    "{township}{village}{row}": 2,
    "{township}{village}{business}": 3,
    "{township}{hamlet}{business}": 2,
    "{township}{village}{name}{shop}": 3,
    "{township}{street}{number}": 3,
    "{township}{street}{name}{shop}": 3,
    "{township}{street}{shop}{near}": 2,
    "{township}{highway}{kilometre}{name}{shop}": 1,
    "{township}{rural_office}": 4,
}
# Farms of the state and the corps (兵团), and pastures, in the north.
FARM: Final = {
    "{regiment}团{company_number}连": 3,
    "{regiment}团{company_number}连{house_number}": 2,
    "{regiment}团部{street}{number}": 1,
    "{farm}{branch}": 1,
    "{farm}{branch}{company_number}连": 2,
    "{farm}场部{community}{door}": 1,
    "{pasture}嘎查": 2,
    "{pasture}嘎查{business}": 1,
    "{forest}{branch}": 1,
}


def _words(*groups: str) -> list[str]:
    """Return the words of all groups; of `-`, an empty one."""
    return ["" if word == "-" else word for group in groups for word in group.split()]


_SIDES: Final = "东 西 南 北"
_PLAIN_STEMS: Final = (
    "宏达 顺发 鑫源 恒通 金鹏 华美 三和 大众 万家 吉祥 如意 鸿运 永兴 聚源 德胜 福源 利民 惠民 便民 新世纪 新天地 "
    "老字号 好又多 小丽 阿芳 老王 刘姐 张记 李记 陈氏 胖子 兄弟 姐妹 秀秀 诚信 天天 佳佳 乐乐 家家福 美美 星星 好运来 "
    "小时候 半日闲 猫先生 艾米 蓝鲸 木子 南风 一心 五福 阳光 绿野 青藤 北斗 卓越 飞跃 远航"
)
_SHOPS: Final = (
    "超市 超市 便利店 小卖部 烟酒店 烟酒行 水果店 水果超市 五金店 五金建材 理发店 美发 发型工作室 药店 大药房 服装店 "
    "童装店 鞋店 内衣店 手机店 手机维修 奶茶店 咖啡馆 面馆 饭店 饺子馆 火锅店 烧烤店 早餐店 蛋糕店 文具店 书店 打印店 "
    "图文广告 花店 宠物店 宠物医馆 母婴店 眼镜店 美甲店 美容院 洗车店 汽修厂 轮胎店 电动车行 家具店 窗帘店 灯具店 "
    "裁缝铺 修表铺 干洗店 棋牌室 网吧 健身房 台球室 瑜伽馆 琴行 画室 幼儿园 托管班 诊所 口腔门诊 养生馆 足浴店 彩票店 "
    "农资店 种子站 菜店 肉铺 粮油店 茶叶店 海鲜店"
)
_NUMERALS: Final = "一 二 三 四 五 六 七 八 九 十"
_LETTERS: Final = "A B C D E F"


@functools.lru_cache(maxsize=1)
def vocabularies() -> dict[str, list[str]]:
    """Return the words of each name in braces; the more frequent stand there more often."""
    return {
        "phase": [
            *_words(
                "- - - - - - - - - - 一期 二期 三期 四期 东区 西区 南区 北区 A区 B区 C区 东苑 西苑 南苑 北苑 1期 2期 "
                "一区 二区"
            )
        ],
        "neighbourhood": named(
            "幸福 和平 新华 东风 光明 阳光 团结 向阳 红旗 朝霞 金桥 南门 北门 东门 西关 河东 河西 桥南 桥北 站前 文化 "
            "学府 龙泉 凤凰 永安 长宁 安泰 福安 金山 翠湖",
            "社区",
        ),
        "stretch": _words("东段 西段 南段 北段 中段"),
        "alley": [
            *(f"{n}巷" for n in range(1, 40)),
            *crossed(_NUMERALS, "巷 巷 里 条"),
            *crossed("东 西 南 北 后 前", "巷 巷 里"),
        ],
        "alleyway": named(
            "柳树 槐树 枣树 帽儿 羊肉 豆腐 水井 石板 打铁 书院 府学 炮局 竹竿 灯草 锣锅 井儿 辘轳 青石 状元 杨家 吴家 "
            "安静 近开 仁和 祥富",
            "胡同 胡同 巷 里 里",
        ),
        "floor": [
            *_words("二楼 三楼 1楼 2楼 3楼 4楼 5楼 1层 2层 顶楼 一楼 一楼门面 后门二楼 负一楼"),
            *crossed("2 3 4 5", "楼东户 楼西户 楼左手边"),
        ],
        "storey": [f"{n}{end}" for n in range(1, 7) for end in ("F", "楼", "层")],
        "side": _words(f"{_SIDES} 中"),
        "way": [*crossed("往 向", _SIDES), *_words("东 西 南 北 东侧 西南角 北行 南走 进去 里面")],
        "metres": [f"{n}米" for n in (20, 30, 50, 60, 80, 100, 100, 120, 150, 200, 200, 300, 500)],
        "zone": _words("南区 北区 东区 西区 一期 二期 三期 别墅区 公寓楼 回迁房"),
        "gate": [
            *crossed(_SIDES, "门 门 大门"),
            *_words("正门 后门 1号门 2号门 3号门 正门口 地下车库入口 侧门 西门岗 南门岗"),
        ],
        "work": _words(
            "粮食局 税务局 邮电局 电力局 供销社 物资局 水利局 教育局 农机厂 纺织厂 钢铁厂 化肥厂 机床厂 棉纺厂 水泥厂 "
            "造纸厂 印刷厂 药厂 酒厂 铁路局 交通局 公安局 法院 检察院 农行 建行 工行 县医院 人民银行 煤矿 电厂 油田 "
            "地质队 建筑公司 外贸公司 百货公司"
        ),
        "quarters": _words("家属院 家属院 家属楼 宿舍 宿舍区 职工宿舍 老家属院 安置房 集资楼 小区"),
        "near": _words("旁 旁边 对面 斜对面 后面 隔壁 楼下 楼上 门口 前面 里面 西侧 东侧"),
        "shop": _SHOPS.split(),
        "name": named(_PLAIN_STEMS),
        "firm": _words(
            "科技 科技 网络 传媒 广告 装饰 律师事务所 会计师事务所 教育培训 培训中心 贸易公司 科技公司 电商部 工作室 "
            "设计工作室 办事处 保险公司 旅行社 房产 地产中介 人力资源 财务公司"
        ),
        "landmark": _words(
            "农贸市场 菜市场 汽车站 客运站 火车站 长途汽车站 人民广场 体育馆 图书馆 电影院 文化宫 少年宫 加油站 "
            "中石化加油站 邮局 农业银行 工商银行 建设银行 信用社 移动营业厅 电信营业厅 派出所 供电局 自来水公司 法院 "
            "妇幼保健站 中医馆 消防队 公交总站 地铁口 大转盘 红绿灯 立交桥 步行街 公园 博物馆 老电影院 老车站 水塔 "
            "天桥"
        ),
        "tower": named(
            "万达 环球 国际 中央 时代 世纪 金融 创业 创客 财富 银泰 海关 电信 邮政 恒隆 星光 汇金 汇丰 鼎盛 鼎泰 天元 "
            "天誉 天安 金鼎 金茂 银河 云端 嘉里 港澳 新世界 数码 软件 科创 交通 工会 广电 华隆 富裕 商会国贸",
            "大厦 大厦 广场 中心 写字楼 商务中心 国际",
        ),
        "department": _words(
            "- - - 前台 行政部 人事部 财务室 财务部 采购部 市场部 客服部 技术部 收发室 研发中心 总经办 会计室 仓库"
        ),
        "park": named(
            "高新 创新 科技 软件 电商 跨境电商 物流 智能制造 生物医药 文化创意 新材料 光电 留学生 联东 中南 星河 轻纺 "
            "家具 食品 皮革 五金 服装 汽配 循环经济",
            "产业园 产业园 科技园 工业园 工业园 创业园 园区 工业区",
        ),
        "block": [
            *(f"{n}{end}" for n in range(1, 20) for end in ("栋", "号楼", "#", "号厂房", "号库")),
            *(f"{letter}{end}" for letter in _LETTERS.split() for end in ("栋", "座", "3栋", "区2栋")),
        ],
        "factory": _words(
            "电子厂 服装厂 家具厂 食品厂 塑料厂 五金厂 玩具厂 鞋厂 印刷厂 包装厂 模具厂 机械厂 纸箱厂 制衣厂 灯饰厂 "
            "汽配厂 化工厂 木材加工厂 玻璃厂 电器厂 饲料厂 药业"
        ),
        "workshop": [
            *(f"{n}{end}" for n in range(1, 7) for end in ("车间", "号车间", "号厂房", "楼办公室", "号仓库", "号门")),
            *_words("总装车间 注塑车间 包装车间 质检科 门卫室 保安室 收发室 食堂 办公楼 成品仓"),
        ],
        "bed": [
            f"{floor}{room:02d}{end}" for floor in range(1, 7) for room in (3, 6, 8, 11) for end in ("", "室", "宿舍")
        ],
        "site": crossed(
            "中建三局 中建八局 中铁二局 中铁十二局 城建集团 一建 三标段 高铁站 地铁三号线 安置房 棚改 学校扩建 二期",
            "项目部 项目部 工地 工地板房 工地大门 项目部2号门 项目部钢筋班",
        ),
        "market": named(
            "国际 小商品 东方 南方 中心 惠民 城东 城西 城北 城南 华东 义乌 长江 五洲 金马 海宁 农产品 轻纺 建材 "
            "五金机电 果品 水产 花鸟 服装 鞋材 家具 茶叶 汽配 药材 二手车",
            "批发市场 批发市场 商贸城 商贸城 市场 交易中心 农贸市场 大市场",
        ),
        "stall": [
            *(f"{letter}区{n}号" for letter in _LETTERS.split() for n in range(1, 40)),
            *(f"{letter}{n}" for letter in _LETTERS.split() for n in (12, 15, 21, 26, 33, 118, 126, 213, 315)),
            *(f"{n}{end}" for n in range(11, 90) for end in ("号摊位", "号铺", "号档", "号商铺")),
            *(f"{n}街{m}号" for n in range(1, 9) for m in range(11, 60, 7)),
            *(f"{n}区{m}门{k}街店面" for n in range(1, 6) for m in range(1, 9) for k in range(1, 5)),
            *(f"{letter}-{n}号" for letter in _LETTERS.split() for n in range(1, 40, 3)),
        ],
        "mall": named(
            "万达 吾悦 银泰 大润发 百盛 王府井 天虹 世纪联华 新百 华联 步步高 永辉 沃尔玛 印象 龙湖天街 大悦 爱琴海 "
            "时代 新天地 宝龙",
            "广场 广场 购物中心 商场 百货 城",
        ),
        "mall_floor": _words(
            "一楼 二楼 三楼 负一楼 负一层 B1层 B1 1楼 2楼 3楼 4楼 1F 2F 3F 地下一层 一层中庭 1层A12号 2楼215铺 "
            "三楼B06 负一楼超市旁 5楼电影院旁"
        ),
        "hotel": crossed(
            "如家 汉庭 七天 全季 亚朵 锦江之星 莫泰 维也纳 希尔顿欢朋 格林豪泰 尚客优 城市便捷 丽枫 假日 锦江 君悦 "
            "国际 商务 迎宾 华天 喜来登",
            "酒店 酒店 大酒店 宾馆 快捷酒店",
        ),
        "hotel_room": [
            f"{floor}{room:02d}{end}"
            for floor in range(2, 7)
            for room in range(1, 30, 3)
            for end in ("", "房", "房间", "号房")
        ]
        + _words("前台 大堂 前台转交 5楼会议室"),
        "hospital": _words(
            "第一人民医院 第二人民医院 第三人民医院 人民医院 人民医院 中心医院 中医院 中医院 妇幼保健院 妇产医院 "
            "骨科医院 儿童医院 肿瘤医院 口腔医院 医学院附属医院 铁路医院 红十字会医院"
        ),
        "ward": [
            f"{building}{floor}{department}{bed}"
            for building in ("住院部", "住院部", "住院楼", "外科楼", "内科大楼", "2号楼", "新住院部")
            for floor in ("3楼", "5楼", "4层", "六楼", "2楼", "")
            for department in ("骨科", "心内科", "产科", "儿科", "神经内科", "普外科", "呼吸科", "肿瘤科", "康复科")
            for bed in ("", "12床", "27床", "护士站", "医生办公室", "6床", "加3床")
        ]
        + _words("门诊楼口腔科 门诊4楼检验科 门诊二楼药房 急诊科 后勤科 影像中心 食堂 门诊大厅 东门保安室 行政楼") * 12,
        "university": _words(
            "大学 师范大学 理工大学 医科大学 农业大学 工业大学 科技大学 财经大学 师范学院 职业技术学院 职业学院 "
            "理工学院 工程学院 工贸职院 医专 技师学院 广播电视大学"
        ),
        "campus": _words("- 东校区 西校区 南校区 北校区 新校区 老校区 本部 大学城校区"),
        "dormitory": [
            f"{building}{room}"
            for building in (
                *(f"{n}{end}" for n in range(1, 20) for end in ("号宿舍楼", "栋", "公寓", "号楼")),
                *_words(
                    "梅园3舍 竹园5栋 兰苑2号楼 桃李园6栋 研究生公寓 紫荆公寓4号楼 女生宿舍2栋 男生公寓1号楼 教师公寓 "
                    "南苑8舍 博士楼"
                ),
            )
            for room in ("", "302", "418", "516", "605", "A306", "224室", "412B", "635室", "128")
        ],
        "station": _words(
            "菜鸟驿站 菜鸟驿站 菜鸟驿站 丰巢柜 丰巢快递柜 丰巢 快递柜 妈妈驿站 兔喜超市 兔喜生活 快递代收点 "
            "顺丰代收点 京东快递站 韵达驿站 中通快递点 邮政代收点 快递超市 近邻宝 速递易 物业前台 门卫室 1号快递柜 "
            "百世快递点"
        ),
        "school": named("第一 第二 第三 第五 实验 育才 外国语 附属", "中学 小学 学校 幼儿园"),
        "primary_school": named("实验 第一 第二 第三 中心 附属 外国语", "小学"),
        "primary_class": crossed("一年级 二年级 三年级 五年级 六年级", "1班 2班 3班 （5）班 (2)班 六班"),
        "middle_school": named("第一 第二 第三 第五 第十二 实验 高级 外国语 育才", "中学"),
        "middle_class": crossed("初一 初二 初三 高一 高二 高三", "1班 2班 12班 （9）班 (3)班 六班 语文组 数学组办公室"),
        "porter": _words(
            "门卫室 传达室 门卫 保安室 收发室 教师办公室 总务处 东门 南门文具店 北门口 食堂 宿舍2号楼 家属区"
        ),
        "office": _words(
            "政务服务中心2楼 行政服务中心三楼12号窗口 人民政府办公室 区政府大院3号楼 税务局办税大厅 公安局户籍科 "
            "派出所 交警大队 市场监督管理局 自然资源局407室 人社局五楼 法院立案庭 检察院收发室 教育局基教科 "
            "卫生监督所 社区居委会 社区服务中心 民政局婚姻登记处 气象局 烟草专卖局 供电所 水务局 文化馆 消防救援站 "
            "疾控中心 司法所 住建局606 邮政支局 残联 老干部局"
        ),
        "near_door": _words(
            "南门进右手边 北门旁 进门左转 地下车库入口旁 西门口 水果店隔壁 理发店对面 小区正门 幼儿园对面 超市里面"
        ),
        "building_number": [f"{n}{end}" for n in range(1, 30) for end in ("栋", "号楼", "幢")],
        "highway": [
            *(
                f"{n}国道"
                for n in (
                    101,
                    104,
                    105,
                    106,
                    107,
                    108,
                    109,
                    204,
                    205,
                    206,
                    207,
                    209,
                    210,
                    212,
                    213,
                    310,
                    312,
                    316,
                    318,
                    320,
                )
            ),
            *_words("G104国道 G206国道 G312国道 G318国道 G320国道 S203省道 S231省道 省道旁 老国道 环城高速出口"),
        ],
        "kilometre": [
            *(f"{n}公里处" for n in range(12, 300, 7)),
            *(f"K{n}+{m}00" for n in (23, 56, 118, 205) for m in (1, 2, 3, 5)),
            "旁",
            "边上",
        ],
        "bank": crossed(
            "农业银行 工商银行 建设银行 中国银行 邮储银行 农商银行 交通银行 中国移动 中国电信 中国人寿",
            "营业部 支行 二楼 对面",
        ),
        "village_in_city": named(
            "上沙 下沙 石牌 棠下 白石 岗头 塘头 大塘 小村 后宅 西坑 三元 长丰 新圩 前岸 水头 东岸 南庄", "村 新村 老村"
        ),
        "house_number": [f"{n}号" for n in range(1, 90)],
        "unit_number": [str(n) for n in range(31201, 97000, 431)],
        "barracks": _words("- 54分队 31分队 72分队 家属院 营区北门 三连 教导队 卫生队 政治处"),
        "group": [
            *(f"{n}组" for n in range(1, 16)),
            *(f"{n}队" for n in range(1, 12)),
            *crossed(_NUMERALS, "组 组 队 社"),
            *(f"{n}社" for n in range(1, 10)),
            *(f"第{n}村民小组" for n in ("一", "二", "三", "五")),
            *(f"{n}小组" for n in range(1, 7)),
        ],
        "hamlet": [
            # As often as the others, of which there are so many more.
            *crossed("上 下 前 后 东 西 大 小 新 老", "寨 湾 屯 坪 屋 坝 庄 院子 沟 岭") * 300,
            *named(
                "王家 李家 陈家 张家 刘家 杨家 周家 罗家 何家 谢家 石板 松树 桃花 凉水",
                "湾 屯 寨 院子 大屋 坡 冲 沟 塆 垸 老屋 台",
            ),
        ],
        "spot": _words(
            "村口小卖部 村口超市 村口第三家 村委会 村委会对面 村委会旁边 村部 卫生室 卫生室隔壁 小学对面 小学旁边 "
            "老槐树旁 大槐树下 大榕树旁 祠堂旁 土地庙旁 水塔下面 大桥头 桥头小店 文化广场 文化广场旁 篮球场旁 红大门 "
            "红砖房 蓝色铁门 东头第二家 西头 村东头 加油站对面 养鸡场旁 磨坊 老供销社 电商服务站 快递点 农家乐 鱼塘边 "
            "水库边 晒谷场边 后山脚下 老寨门口 活动中心 便民超市 三岔路口"
        ),
        "row": [f"{n}排{m}号" for n in range(1, 9) for m in range(1, 12)]
        + _words("东头第二排 西头第三家 第一排第五户 后街 前街 北街") * 6,
        "business": _words(
            "养鸡场 养猪场 养鹅场 养殖场 牛场 羊场 果园 苹果园 茶厂 茶园 农家乐 民宿 合作社 种植合作社 砖厂 石材厂 "
            "木材厂 采石场 家庭农场 大棚基地 蔬菜基地 鱼塘 粮站 扶贫车间 服务区 加油站 酒坊 油坊"
        ),
        "rural_office": _words(
            "人民政府 政府大院 政府食堂 卫生院 中心卫生院 派出所 邮政所 供销社 信用社 中心小学 中心幼儿园 初级中学 "
            "财政所 林业站 农技站 司法所 水管站 敬老院 菜市场 加油站 快递代收点 菜鸟驿站 中通快递 韵达快递点 "
            "邮政快递点"
        ),
        "regiment": [
            str(n)
            for n in (
                29,
                33,
                41,
                45,
                48,
                51,
                53,
                61,
                67,
                72,
                81,
                87,
                102,
                105,
                121,
                125,
                128,
                133,
                143,
                148,
                150,
                183,
                222,
            )
        ],
        "company_number": [*(str(n) for n in range(1, 25)), *_NUMERALS.split()],
        "farm": crossed(
            "红星 胜利 前进 友谊 八五三 五九七 七星 向阳 保安 新生 国营 北安 跃进 哈拉海", "农场 农场 种畜场 马场"
        ),
        "branch": [
            *(f"{n}分场" for n in _NUMERALS.split()),
            *_words("第二作业区 第五作业站 三队 七队 奶牛场 场部 场直 六区 二管区 良种场"),
        ],
        "pasture": crossed(
            "巴彦 白音 乌兰 哈日 查干 宝力格 阿日 呼日勒 额尔敦 满都 巴音", "乌拉 塔拉 淖尔 高勒 敖包 图 花 温都尔"
        ),
        "forest": crossed("红旗 南山 北山 大青山 白桦 松江 桦树 柳河", "林场 林场 林业局"),
    }
