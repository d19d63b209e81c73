"""The vocabulary of names: each is given in English and in Chinese, and all are made up of common parts."""

# Rules and words are data, one entry a line.
# ruff: noqa: E501

from __future__ import annotations


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of English and Chinese out of "Emma 艾玛, Ned 内德"."""
    pairs = [item.strip().rsplit(" ", 1) for item in text.split(",")]
    return tuple((english, chinese) for english, chinese in pairs)


WOMEN = pairs(
    "Emma 艾玛, Ruth 露丝, Ada 埃达, Clara 克拉拉, Nora 诺拉, Lydia 莉迪亚, Mabel 梅布尔, Iris 艾丽斯, Judith 朱迪思, "
    "Hazel 黑兹尔, Agnes 阿格尼丝, Martha 玛莎, Celia 西莉亚, Olive 奥莉芙, Greta 格蕾塔, Joan 琼, Tessa 泰莎, Paula 葆拉"
)
MEN = pairs(
    "Ned 内德, Paul 保罗, Hugo 雨果, Simon 西蒙, Felix 费利克斯, Oscar 奥斯卡, Walter 沃尔特, Martin 马丁, Conrad 康拉德, "
    "Edgar 埃德加, Leon 莱昂, Victor 维克托, Ralph 拉尔夫, Dennis 丹尼斯, Arthur 阿瑟, Marcus 马库斯, Robin 罗宾, Tobias 托拜厄斯"
)
FAMILIES = pairs(
    "Hartley 哈特利, Moss 莫斯, Birkett 伯基特, Lane 莱恩, Carver 卡弗, Dalton 多尔顿, Fenwick 芬威克, Garland 加兰, "
    "Holloway 霍洛韦, Ingram 英格拉姆, Kendall 肯德尔, Lambert 兰伯特, Mercer 默瑟, Norwood 诺伍德, Osborne 奥斯本, Prescott 普雷斯科特, "
    "Quinn 奎因, Radley 拉德利, Sterling 斯特林, Thornton 桑顿, Underhill 昂德希尔, Vance 万斯, Whitlock 惠特洛克, Yardley 亚德利, "
    "Ashby 阿什比, Bramley 布拉姆利, Colby 科尔比, Drayton 德雷顿, Easton 伊斯顿, Farrow 法罗, Granger 格兰杰, Harlow 哈洛"
)
# Chinese family names, and the syllables that given names are made of.
SURNAMES = pairs(
    "Chen 陈, Lin 林, Zhou 周, Wu 吴, Sun 孙, Zhao 赵, Xu 徐, Gao 高, He 何, Luo 罗, Liang 梁, Song 宋, Tang 唐, Shen 沈, "
    "Han 韩, Feng 冯, Cao 曹, Peng 彭, Pan 潘, Du 杜"
)
GIVEN_FIRST = pairs(
    "Xiao 晓, Jia 佳, Yu 雨, Si 思, Wen 文, Hai 海, Zhi 志, Ming 明, Jing 静, Rui 瑞, Chun 春, Yi 逸, Mei 美, Jian 建, Ke 可, Xin 欣"
)
GIVEN_WOMEN = pairs("wen 雯, ting 婷, lan 兰, fang 芳, qin 琴, yan 燕, lian 莲, ying 莹, rong 蓉, ping 萍")
GIVEN_MEN = pairs("feng 峰, jun 军, wei 伟, gang 刚, hao 浩, qiang 强, tao 涛, bin 斌, lei 磊, dong 东")

PLACE_STEMS = pairs(
    "Oster 奥斯特, Mar 马尔, Bram 布拉姆, Wel 韦尔, Har 哈尔, Lang 兰, Nor 诺, Stan 斯坦, Thorn 索恩, Ald 奥尔德, Carl 卡尔, "
    "Dun 邓, Elm 埃尔姆, Ferr 费尔, Glen 格伦, Hol 霍尔, Kel 凯尔, Lin 林, Mill 米尔, Pem 彭, Rav 拉文, Sel 塞尔, Tal 塔尔, Wick 威克"
)
PLACE_ENDS = pairs(
    "wick 威克, ford 福德, ton 顿, bury 伯里, mouth 茅斯, field 菲尔德, stead 斯特德, by 比, ham 汉姆, leigh 利"
)
CITY_FIRST = pairs(
    "Yun 云, Lu 鹭, Cheng 澄, Qi 栖, Mu 沐, Yuan 远, Mo 墨, Cang 苍, Tang 棠, Bai 白, Qing 青, Shuang 双, Jin 锦, Ping 坪"
)
CITY_LAST = pairs("zhou 州, chuan 川, gang 港, yuan 原, xi 溪, ling 陵, pu 浦, ze 泽, tan 潭, wan 湾")

# First words of companies; several could as well be a product, and family and place names serve too.
MARKS = pairs(
    "Kestrel 红隼, Lantern 灯塔, Harbour 海湾, Bluefin 蓝鳍, Northstar 北星, Ember 星火, Cobalt 钴蓝, Juniper 杜松, Granite 花岗, "
    "Meridian 子午, Summit 峰顶, Willow 垂柳, Anchor 铁锚, Compass 罗盘, Falcon 猎鹰, Maple 红枫, Orchard 果园, Pioneer 先锋, "
    "Quartz 石英, Raven 渡鸦, Silver 银叶, Tundra 苔原, Vertex 顶点, Zephyr 微风"
)
COINED_FIRST = pairs(
    "Lu 鲁, Ve 薇, Tar 塔, Mi 米, Sen 森, Ki 奇, Or 奥, Pel 佩, Ron 朗, So 索, No 诺, Ven 文, Zan 赞, Al 阿, Bri 布里, Del 德, Fi 菲, Kor 科"
)
COINED_LAST = pairs(
    "mo 莫, lora 洛拉, no 诺, ro 罗, ta 塔, vo 沃, bis 比斯, la 拉, do 多, via 维亚, ster 斯特, nix 尼克"
)
SUFFIXES = (
    ("", ""),
    ("", ""),
    (" 2", "2"),
    (" 3", "3"),
    (" 5", "5"),
    (" 7", "7"),
    (" Pro", "Pro"),
    (" Mini", "Mini"),
    (" One", "一号"),
)
ROLES = pairs(
    "engineer 工程师, designer 设计师, accountant 会计, driver 司机, chemist 化学师, translator 翻译, manager 经理, technician 技术员, "
    "director 主任, salesman 销售员, editor 编辑, cook 厨师, researcher 研究员, adviser 顾问"
)
