"""Invented names in several scripts, streets, physicians and hospitals; distinctive, so that bytes can be searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Script:
    """Names of one language. families, women, men: (as written, in ASCII). groups: component groups are written too."""

    character_set: str | list[str]
    weight: float
    families: tuple[tuple[str, str], ...]
    women: tuple[tuple[str, str], ...]
    men: tuple[tuple[str, str], ...]
    groups: bool = False
    suffixes: tuple[str, ...] = ("",)

    def draw(self, rng: np.random.Generator, female: bool) -> tuple[str, str]:
        """A PN value, and the same name in ASCII as a console would burn it into pixels."""
        family, family_ascii = self.families[int(rng.integers(len(self.families)))]
        pool = self.women if female else self.men
        given, given_ascii = pool[int(rng.integers(len(pool)))]
        suffix = self.suffixes[int(rng.integers(len(self.suffixes)))]
        plain = f"{family_ascii.upper()} {given_ascii.upper()}"
        if self.groups:
            return f"{family_ascii}^{given_ascii}={family}^{given}", plain
        return f"{family}^{given}{suffix}", plain


def _same(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


NAMES: tuple[Script, ...] = (
    Script(
        "ISO_IR 100",
        6.0,
        _same("Vantrellis", "Quillenbrook", "Ostermorrow", "Haverstrand", "Pellingworth", "Drummondale", "Thistlewick")
        + _same("Zellerhoven", "Castellanque", "Fairweatherby", "Montcrieffe", "Oakhampstead", "Wexcombe-Lyle"),
        _same(
            "Philomena", "Seraphine", "Wilhelmina", "Clementyne", "Rosalynde", "Marguerita", "Ottoline", "Evangeline"
        ),
        _same("Bartholomew", "Thaddeus", "Ignatius", "Leopoldine", "Cornelius", "Maximilian", "Peregrine", "Augustin"),
        suffixes=("", "^Quincey", "^^Dr", "^Xanthe^^Jr"),
    ),
    Script(
        "ISO_IR 100",
        2.0,
        (("Mühlenbröker", "Muehlenbroeker"), ("Günderröther", "Guenderroether"), ("Lindqvärn", "Lindqvaern")),
        (("Jördis", "Joerdis"), ("Françoise", "Francoise"), ("Søgneline", "Sogneline")),
        (("Jürgenfried", "Juergenfried"), ("Théophile", "Theophile"), ("Ásbjørnar", "Asbjornar")),
    ),
    Script(
        "ISO_IR 192",
        2.0,
        (("欧阳", "Ouyangxia"), ("諸葛", "Zhugeliao"), ("司徒", "Situmoran"), ("慕容", "Murongfei")),
        (("靖涵", "Jinghanyu"), ("紫萱", "Zixuanmei"), ("婉瑜", "Wanyuqing")),
        (("承瀚", "Chenghanlu"), ("景琛", "Jingchenbo"), ("昊霖", "Haolinzhi")),
        groups=True,
    ),
    Script(
        "ISO_IR 192",
        1.0,
        (("東雲院", "Shinonomein"), ("伊集院", "Ijuuindate"), ("勅使河原", "Teshigawara")),
        (("小百合子", "Sayurikoto"), ("雪乃丞", "Yukinojou")),
        (("龍之介", "Ryuunosuke"), ("虎太郎丸", "Kotaroumaru")),
        groups=True,
    ),
    Script(
        "ISO_IR 192",
        1.0,
        (("Παπαδιαμαντόπουλος", "Papadiamantopoulos"), ("Κωνσταντινίδης", "Konstantinidis")),
        (("Αριάδνη", "Ariadnitsa"), ("Πηνελόπη", "Pinelopitsa")),
        (("Αριστοτέλης", "Aristotelis"), ("Λεωνίδας", "Leonidasios")),
    ),
    Script(
        "ISO_IR 144",
        1.0,
        (("Преображенцев", "Preobrazhentsev"), ("Вознесенцев", "Voznesentsev"), ("Черноморцев", "Chernomortsev")),
        (("Евдокия", "Yevdokiya"), ("Апполинария", "Appolinariya")),
        (("Мстислав", "Mstislavets"), ("Святогор", "Svyatogorets")),
    ),
)

PHYSICIANS: tuple[str, ...] = (
    "Abernethorpe^Isidora^^Dr",
    "Kuznetsovich^Radomir",
    "Fitzgibbonsen^Alaric^^Prof",
    "Delacroixville^Noemie",
    "Winterbournely^Gideon",
    "Szczepankowicz^Halina",
    "Okonkwolade^Chidiebere",
    "Bjornfeldtsen^Ragnhild",
    "Marchbankston^Lucasta",
    "Yamashitagawa^Setsukono",
)

STREETS: tuple[tuple[str, str], ...] = (
    ("Larkspur Hollow", "Nethermoor"),
    ("Gallowglass Lane", "Port Averill"),
    ("Sycamore Terrace", "Brindlecombe"),
    ("Quayside Crescent", "Westerhaven"),
    ("Old Tannery Row", "Marrowdale"),
    ("Kestrel Avenue", "Upper Fennimore"),
)


@dataclass(frozen=True, slots=True)
class Institution:
    """An invented hospital; issuer: who hands out its patient numbers."""

    name: str
    address: str
    issuer: str


INSTITUTIONS: tuple[Institution, ...] = (
    Institution("Saint Aldhelmina Hospital", "1 Priory Gate, 40213 Nethermoor", "ALDHELMINA"),
    Institution("Brindlecombe Royal Infirmary", "77 Infirmary Hill, 55120 Brindlecombe", "BRINDLECOMBE"),
    Institution("Westerhaven University Clinic", "12 Harbour Ring, 20999 Westerhaven", "WESTERHAVEN"),
    Institution("Marrowdale District Hospital", "3 Foundry Road, 81442 Marrowdale", "MARROWDALE"),
)
