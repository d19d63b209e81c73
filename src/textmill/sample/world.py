"""The world: people, companies, places and products, and the facts that hold among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from textmill.sample import names
from textmill.sample.draw import Draw
from textmill.sample.grammar import Mention


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product: its noun, the Chinese measure word, and what reviews talk about."""

    english: str
    chinese: str
    measure: str
    aspects: tuple[str, ...]
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Sector:
    """A line of business."""

    english: str
    chinese: str
    trade: str
    trade_chinese: str
    kinds: tuple[Kind, ...]


@dataclass(eq=False, slots=True)
class Entity:
    """Anything with a name in both languages; ``short`` is a second, shorter name."""

    key: str
    label: str
    english: str
    chinese: str
    short: tuple[str, str] = ("", "")

    def mention(self, language: str, short: bool = False) -> Mention:
        """The entity's name in ``language`` (en or zh) as a mention."""
        if short and self.short[0]:
            return Mention(self.short[language == "zh"], self.label, self.key)
        return Mention(self.english if language == "en" else self.chinese, self.label, self.key)


E = TypeVar("E", bound=Entity)


@dataclass(eq=False, slots=True)
class Place(Entity):
    """A town or city."""


@dataclass(eq=False, slots=True)
class Person(Entity):
    """A person, where they were born and whom they work for."""

    woman: bool = False
    born: Place = field(kw_only=True)
    role: tuple[str, str] = ("", "")
    employer: Company = field(kw_only=True, default=None)  # type: ignore[assignment]
    firm: Company | None = None  # the company that this person founded


@dataclass(eq=False, slots=True)
class Company(Entity):
    """A company: sector, seat, founder, year and number of people."""

    sector: Sector = field(kw_only=True)
    place: Place = field(kw_only=True)
    year: int = 0
    staff: int = 0
    founder: Person = field(kw_only=True, default=None)  # type: ignore[assignment]
    products: list[Product] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Product(Entity):
    """A product and who makes it; the price is in whole units of no particular currency."""

    kind: Kind = field(kw_only=True)
    maker: Company = field(kw_only=True)
    price: int = 0
    year: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """A part of the world: everything in it refers only to its own members."""

    people: Sequence[Person]
    companies: Sequence[Company]
    places: Sequence[Place]
    products: Sequence[Product]


def _kind(english: str, chinese: str, measure: str, aspects: str, plural: bool = False) -> Kind:
    return Kind(english, chinese, measure, tuple(aspects.split()), plural)


KINDS = (
    _kind("kettle", "水壶", "把", "handle lid motor finish"),
    _kind("desk lamp", "台灯", "盏", "light switch finish stand"),
    _kind("bicycle", "自行车", "辆", "frame brakes saddle wheels"),
    _kind("camera", "相机", "台", "lens battery screen buttons"),
    _kind("phone", "手机", "部", "screen battery sound software"),
    _kind("headset", "耳机", "副", "sound battery microphone cable"),
    _kind("armchair", "扶手椅", "把", "seat frame fabric finish"),
    _kind("backpack", "背包", "个", "straps zip fabric pockets"),
    _kind("printer", "打印机", "台", "software paper_tray cable buttons"),
    _kind("vacuum cleaner", "吸尘器", "台", "motor cable handle filter"),
    _kind("watch", "手表", "块", "strap screen battery buttons"),
    _kind("speaker", "音箱", "个", "sound battery cable buttons"),
    _kind("keyboard", "键盘", "个", "keys cable software finish"),
    _kind("coffee machine", "咖啡机", "台", "pump filter lid buttons"),
    _kind("tent", "帐篷", "顶", "zip fabric frame pockets"),
    _kind("drill", "电钻", "把", "motor battery handle switch"),
    _kind("jacket", "夹克", "件", "zip fabric pockets lining"),
    _kind("blender", "搅拌机", "台", "motor lid blades buttons"),
    _kind("tablet", "平板电脑", "台", "screen battery software sound"),
    _kind("fan", "风扇", "台", "motor stand switch blades"),
    _kind("heater", "取暖器", "台", "switch cable stand filter"),
    _kind("suitcase", "行李箱", "个", "wheels handle zip lining"),
    _kind("umbrella", "雨伞", "把", "handle frame fabric finish"),
    _kind("scooter", "滑板车", "辆", "brakes battery wheels handle"),
)
_BY_NAME = {kind.english: kind for kind in KINDS}


def _sector(english: str, chinese: str, trade: str, trade_chinese: str, kinds: str) -> Sector:
    return Sector(english, chinese, trade, trade_chinese, tuple(_BY_NAME[kind] for kind in kinds.split(", ")))


SECTORS = (
    _sector("Kitchens", "厨具", "kitchen goods", "厨房用品", "kettle, blender, coffee machine"),
    _sector("Lighting", "照明", "lighting", "照明设备", "desk lamp, fan"),
    _sector("Cycles", "单车", "bicycles", "自行车", "bicycle, scooter"),
    _sector("Optics", "光学", "optical goods", "光学器材", "camera, printer"),
    _sector("Mobile", "通讯", "telephones", "通讯设备", "phone, tablet, watch"),
    _sector("Audio", "音响", "audio equipment", "音响设备", "headset, speaker"),
    _sector("Furniture", "家具", "furniture", "家具", "armchair, desk lamp"),
    _sector("Outdoors", "户外", "camping gear", "户外装备", "backpack, tent, jacket"),
    _sector("Appliances", "电器", "household appliances", "家用电器", "vacuum cleaner, heater, fan"),
    _sector("Systems", "科技", "computer equipment", "电脑配件", "keyboard, tablet, printer"),
    _sector("Tools", "工具", "power tools", "电动工具", "drill, vacuum cleaner"),
    _sector("Leather", "皮具", "luggage", "箱包", "suitcase, backpack, umbrella"),
)


def _place(draw: Draw, number: int) -> Place:
    if draw.chance(0.4):
        (e1, c1), (e2, c2) = draw.choice(names.CITY_FIRST), draw.choice(names.CITY_LAST)
    else:
        (e1, c1), (e2, c2) = draw.choice(names.PLACE_STEMS), draw.choice(names.PLACE_ENDS)
    return Place(f"place{number}", "place", e1 + e2, c1 + c2)


def _person(draw: Draw, number: int, places: Sequence[Place]) -> Person:
    woman = draw.chance(0.5)
    if draw.chance(0.4):
        family, (e1, c1) = draw.choice(names.SURNAMES), draw.choice(names.GIVEN_FIRST)
        e2, c2 = draw.choice(names.GIVEN_WOMEN if woman else names.GIVEN_MEN)
        english, chinese = f"{family[0]} {e1}{e2}", family[1] + c1 + c2
        short = (english, chinese)
    else:
        given, family = draw.choice(names.WOMEN if woman else names.MEN), draw.choice(names.FAMILIES)
        english, chinese, short = f"{given[0]} {family[0]}", f"{given[1]}·{family[1]}", family
    return Person(
        f"person{number}", "person", english, chinese, short,
        woman=woman, born=draw.choice(places), role=draw.choice(names.ROLES),
    )  # fmt: skip


def _company(draw: Draw, number: int, places: Sequence[Place]) -> Company:
    sector, place = draw.choice(SECTORS), draw.choice(places)
    first = draw.choice(names.MARKS)
    if draw.chance(0.3):
        first = draw.choice(names.FAMILIES)
    elif draw.chance(0.25):
        source = draw.choice(places)
        first = (source.english, source.chinese)
    english, chinese = f"{first[0]} {sector.english}", first[1] + sector.chinese
    if draw.chance(0.2):
        english, chinese = first
    elif draw.chance(0.15):
        one, two = draw.some(names.FAMILIES, 2)
        english, chinese = f"{one[0]} & {two[0]}", f"{one[1]}与{two[1]}"
    return Company(
        f"company{number}", "company", english, chinese,
        sector=sector, place=place, year=draw.between(1921, 2019), staff=draw.between(3, 240) * 5,
    )  # fmt: skip


def _product(draw: Draw, number: int, maker: Company) -> Product:
    (e1, c1), (e2, c2) = draw.choice(names.COINED_FIRST), draw.choice(names.COINED_LAST)
    english, chinese = e1 + e2, c1 + c2
    if draw.chance(0.25):
        english, chinese = draw.choice(names.MARKS)
    elif draw.chance(0.12):
        english, chinese = draw.choice(names.FAMILIES)
    suffix = draw.choice(names.SUFFIXES)
    return Product(
        f"product{number}", "product", english + suffix[0], chinese + suffix[1],
        kind=draw.choice(maker.sector.kinds), maker=maker,
        price=draw.between(4, 150) * 5, year=draw.between(2009, 2024),
    )  # fmt: skip


@lru_cache(maxsize=8)
def world(seed: int, part: str) -> World:
    """The part ``part`` of the world of ``seed``: "open" for documents and training, "held" for dev and test.

    The two parts share the stock of names that names are composed of, but no person or company.
    """
    draw = Draw(seed, "world", part)
    places = _unlike(120, lambda i: _place(draw, i))
    people = _unlike(600, lambda i: _person(draw, i, places))
    companies = _unlike(240, lambda i: _company(draw, i, places))
    for i, company in enumerate(companies):
        company.founder = people[i]
        people[i].firm = company
    for person in people:
        person.employer = draw.choice(companies)
        person.employer.people.append(person)
    products = _unlike(360, lambda i: _product(draw, i, draw.choice(companies)))
    for product in products:
        product.maker.products.append(product)
    return World(people, companies, places, products)


def _unlike(count: int, make: Callable[[int], E]) -> list[E]:
    """``count`` entities, no two of one name."""
    found: list[E] = []
    seen: set[str] = set()
    while len(found) < count:
        entity = make(len(found))
        if entity.english not in seen and entity.chinese not in seen:
            seen |= {entity.english, entity.chinese}
            found.append(entity)
    return found
