"""How much bytes look like Chinese, Japanese or Korean in an encoding of two bytes a sign.

The standards sort their signs into a level in daily use and a level of rare ones; in a wrong encoding rare ones,
half-width kana and gaps come up.
"""

# ruff: noqa: RUF001 -- the signs of other languages

from __future__ import annotations

from collections import Counter

_DAILY = {
    "gb18030": (0xB0A1, 0xD7FE),
    "big5": (0xA440, 0xC6FC),
    "cp932": (0x889F, 0x9872),
    "euc_jp": (0xB0A1, 0xCFFE),
    "cp949": (0xB0A1, 0xC8FE),
}
"""First and last code of the signs in daily use."""
_EXTENDED = {"gb18030", "cp949"}
"""Encodings whose rare signs stand between those in daily use, with second bytes below 0xA1."""
_COMMON = {
    "gb18030": (
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
        "经去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知"
        "全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度"
        "门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务"
        "编号姓张李王数名称单价格金额日期地址司北京甲乙谢您请"
    ),
    "cp949": (
        "이다는의을에가하고지로한기사도은를스시인어자리대아나해서수정일과부전안게라니있장제으주여그들상보구원동조유신공선우해문만성와"
        "비면계모경미무관요식오업방물분체생회금마연된개세내용적국민중명호화산학교발합소진습음입품번름량감영김철박최녕세"
    ),
}
_COMMON["cp932"] = _COMMON["euc_jp"] = (
    "日一人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土木食車南"
    "万毎白天友休番号住所田郎京都市区県会社株式様品数量価格議明鈴木太花佐藤村府阪町丁目"
)
_KANA = ("\u3041", "\u30fe")
_PUNCTUATION = "　、。，．·：；？！“”‘’（）《》〈〉【】「」『』…—～￥％－＋＝／"
_PLAIN_DAILY = 0.8
_RARE = 0.1
_ONLY_IDEOGRAPHS = 0.85  # Japanese has kana, save in lists of names


def wide_score(sample: bytes, encoding: str) -> float:
    """Return how well the sample reads in a wide encoding: 1 is perfect, negative what cannot be."""
    text = sample.decode(encoding, "replace")
    signs = Counter(sign for sign in text if sign > "\x7f")
    total = sum(signs.values())
    if not total:
        return 0.0
    kana = sum(count for sign, count in signs.items() if _KANA[0] <= sign <= _KANA[1])
    score = sum(count * _worth(sign, encoding) for sign, count in signs.items()) / total
    japanese = encoding in {"cp932", "euc_jp"}
    return score if bool(kana) is japanese else score * _ONLY_IDEOGRAPHS


def _worth(sign: str, encoding: str) -> float:
    if sign in _PUNCTUATION or sign in _COMMON.get(encoding, ""):
        return 1.0
    if sign == "\ufffd":
        return -2.0
    if _KANA[0] <= sign <= _KANA[1]:
        return 1.0
    code = int.from_bytes(sign.encode(encoding, "ignore"))
    first, last = _DAILY[encoding]
    extended = encoding in _EXTENDED and code & 0xFF <= 0xA0  # noqa: PLR2004 - the second byte
    return _PLAIN_DAILY if first <= code <= last and not extended else _RARE
