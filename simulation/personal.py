"""How simulated customers are addressed: names that nobody bears on purpose, and tokens that call nobody."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulation.bank_files import at_times, hours, ids, instants
from simulation.population import DOCUMENTS, Population

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任"
_GIVEN = "安宁宇轩若溪子涵欣怡浩然雨桐思远嘉佳明哲晓梦静雅文博俊杰秀英建国丽华玉兰志强淑珍春梅海燕立平"
_FOREIGN_GIVEN = ("Anna", "David", "Elena", "Hugo", "Ines", "Jonas", "Lena", "Marco", "Nora", "Oscar", "Rosa", "Tom")
_FOREIGN = ("Alvarez", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "Moreau", "Novak", "Okafor", "Rossi", "Sato")
_ONE_CHARACTER_SHARE, _NO_PHONE_SHARE = 0.15, 0.03


def personal_columns(people: Population, rng: np.random.Generator) -> dict[str, pa.Array]:
    """The bank table `personal`: everybody has a name, nearly everybody a telephone."""
    n = people.n
    surnames, given = np.array(list(_SURNAMES)), np.array(list(_GIVEN))
    second = np.where(rng.random(n) < _ONE_CHARACTER_SHARE, "", given[rng.integers(len(given), size=n)])
    names = np.char.add(surnames[rng.integers(len(surnames), size=n)], given[rng.integers(len(given), size=n)])
    first, last = np.array(_FOREIGN_GIVEN), np.array(_FOREIGN)
    latin = np.char.add(first[rng.integers(len(first), size=n)], " ")
    latin = np.char.add(latin, last[rng.integers(len(last), size=n)])
    is_foreign = people.document == DOCUMENTS.index("FOREIGN")
    tokens = ids("T", rng.permutation(n))
    return {
        "customer_id": ids("C", np.arange(n)),
        "full_name": pa.array(np.where(is_foreign, latin, np.char.add(names, second))),
        "phone_token": pa.compute.if_else(
            pa.array(rng.random(n) >= _NO_PHONE_SHARE), tokens, pa.scalar(None, pa.string())
        ),
        "known_at": instants(at_times(people.registered_on, hours(rng, n, 8, 22))),
    }
