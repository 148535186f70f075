"""The people of the synthetic book: distributors, processors, who controls them, and how they really pay."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from exchange.replay.rows import Company
from exchange.replay.synthetic_ids import new_person, new_uscc

# City: (Chinese, pinyin, GB/T 2260 code, region).
_CITIES = [
    ("宁波", "Ningbo", "330200", "Zhejiang"),
    ("台州", "Taizhou", "331000", "Zhejiang"),
    ("温州", "Wenzhou", "330300", "Zhejiang"),
    ("苏州", "Suzhou", "320500", "Jiangsu"),
    ("常州", "Changzhou", "320400", "Jiangsu"),
    ("东莞", "Dongguan", "441900", "Guangdong"),
    ("佛山", "Foshan", "440600", "Guangdong"),
    ("汕头", "Shantou", "440500", "Guangdong"),
    ("青岛", "Qingdao", "370200", "Shandong"),
    ("临沂", "Linyi", "371300", "Shandong"),
    ("沧州", "Cangzhou", "130900", "Hebei"),
    ("泉州", "Quanzhou", "350500", "Fujian"),
]
_WORDS = [
    ("恒达", "Hengda"),
    ("华盛", "Huasheng"),
    ("金利", "Jinli"),
    ("瑞丰", "Ruifeng"),
    ("宏远", "Hongyuan"),
    ("新鑫", "Xinxin"),
    ("永泰", "Yongtai"),
    ("博雅", "Boya"),
    ("天成", "Tiancheng"),
    ("嘉禾", "Jiahe"),
    ("润泽", "Runze"),
    ("旭日", "Xuri"),
    ("兴业", "Xingye"),
    ("通达", "Tongda"),
    ("万和", "Wanhe"),
    ("益民", "Yimin"),
    ("东升", "Dongsheng"),
    ("顺昌", "Shunchang"),
    ("百川", "Baichuan"),
    ("联创", "Lianchuang"),
]
# Sector: (Chinese, English, the resins it buys, how much of the trade it is).
_SECTORS = {
    "film": ("薄膜", "Film", ("PE", "PP"), 24),
    "pipe": ("管业", "Pipe", ("PVC", "PE"), 18),
    "injection": ("注塑", "Injection Moulding", ("PP", "ABS"), 30),
    "fibre": ("化纤", "Fibre", ("PET", "PP"), 14),
    "cable": ("线缆", "Cable", ("PVC", "PE"), 14),
}
# How a payer really behaves, and how many in a hundred are so.
HABITS = {"prompt": 57, "slow": 27, "weak": 13, "failing": 3}
_OBLIGORS_PER_CONTROLLER = 6  # one company in so many has a sister
_FAILS_AFTER_DAYS = 35  # from the turn to the day nothing is paid any more


@dataclass(frozen=True, slots=True)
class Obligor:
    """A processor that buys resin on credit; `habit` and `turn_day` are the hidden truth."""

    company: Company
    habit: str
    weight: int
    resins: tuple[str, ...]
    sellers: tuple[Company, ...]
    half_tons: int
    tenor_days: int
    first_day: int
    turn_day: int | None

    @property
    def last_day(self) -> int | None:
        """The day it stops paying, and anyone stops selling to it."""
        return None if self.turn_day is None else self.turn_day + _FAILS_AFTER_DAYS

    def buys_on(self, day: int) -> bool:
        """Whether it is a customer on that day."""
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True, slots=True)
class Firms:
    """Everyone in the book."""

    sellers: tuple[Company, ...]
    obligors: tuple[Obligor, ...]
    ring: tuple[Company, ...]


def make_firms(rng: Random, *, history_days: int, days: int, obligors: int = 190, sellers: int = 10) -> Firms:
    """Draw everyone; days count from the first live day (history is negative)."""
    names = _names(rng)
    selling = tuple(
        _company(rng, next(names), "distribution", ("塑料贸易", "Plastics Trading")) for _ in range(sellers)
    )
    sectors = rng.choices(list(_SECTORS), weights=[entry[3] for entry in _SECTORS.values()], k=obligors)
    companies = _with_sisters(rng, [_company(rng, next(names), sector, _SECTORS[sector][:2]) for sector in sectors])
    habits = rng.choices(list(HABITS), weights=list(HABITS.values()), k=obligors)
    buying = tuple(
        _obligor(rng, company, habit, selling, history_days=history_days, days=days)
        for company, habit in zip(companies, habits, strict=True)
    )
    boss = new_person(rng)
    ring = tuple(_company(rng, next(names), "trading", ("新材料", "New Materials"), controller=boss) for _ in range(4))
    return Firms(selling, buying, ring)


@lru_cache(maxsize=16)
def seeded_firms(seed: int) -> Firms:
    """Everyone, as the seed alone decides."""
    return make_firms(Random(seed), history_days=180, days=120)


def _names(rng: Random) -> Iterator[tuple[tuple[str, str, str, str], tuple[str, str]]]:
    """City and word, no pair twice."""
    pairs = [(city, word) for city in _CITIES for word in _WORDS]
    rng.shuffle(pairs)
    return iter(pairs)


def _company(
    rng: Random,
    name: tuple[tuple[str, str, str, str], tuple[str, str]],
    sector: str,
    trade: tuple[str, str] | tuple[str, ...],
    *,
    controller: str | None = None,
) -> Company:
    (city_zh, city, county, region), (word_zh, word) = name
    return Company(
        scheme="uscc",
        value=new_uscc(rng, county=county),
        name=f"{city_zh}{word_zh}{trade[0]}有限公司 ({city} {word} {trade[1]} Co., Ltd.)",
        controller=controller or new_person(rng),
        sector=sector,
        region=region,
    )


def _with_sisters(rng: Random, companies: list[Company]) -> list[Company]:
    """Give some companies the controller of the one before: honest groups, with one risk."""
    joined: list[Company] = []
    for company in companies:
        shared = joined and rng.randrange(_OBLIGORS_PER_CONTROLLER) == 0
        controller = joined[-1].controller if shared else company.controller
        joined.append(Company(company.scheme, company.value, company.name, controller, company.sector, company.region))
    return joined


def _obligor(
    rng: Random, company: Company, habit: str, sellers: tuple[Company, ...], *, history_days: int, days: int
) -> Obligor:
    return Obligor(
        company=company,
        habit=habit,
        weight=rng.choice([2, 3, 3, 4, 4, 5, 6, 8, 12, 20]),
        resins=_SECTORS[company.sector or ""][2],
        sellers=tuple(rng.sample(sellers, k=rng.randrange(1, 3))),
        half_tons=rng.choice([4, 6, 8, 10, 14, 20, 30, 44, 64]),
        tenor_days=rng.choice([15, 30, 30, 45, 45, 60, 60, 90]),
        first_day=rng.choices([-history_days, rng.randrange(0, days // 2 + 1)], weights=[88, 12])[0],
        turn_day=rng.randrange(-history_days // 2, days * 3 // 4 + 1) if habit == "failing" else None,
    )
