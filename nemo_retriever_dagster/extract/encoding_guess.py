"""Which encoding bytes are in that say nothing about it: the one in which their signs make words of some language.

A wrong encoding gives letters that no one language has together, capitals behind small letters, two scripts in a word,
or symbols inside words. Each sign beyond ASCII is weighed with its neighbours; the best average wins, and of equal ones
the first, so that Western European is what a text is read as that could be more than that.
"""

# ruff: noqa: RUF001 -- the signs of other languages

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.encoding_wide import wide_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_SIGNS = 2_000
"""Signs beyond ASCII that are looked at; more of them decide nothing new."""
_USUAL = "cp1252"
_TOO_FEW = 4
"""Signs that could be anything: Western European is preferred where it is plausible at all."""
_PLAUSIBLE = 0.4
_RARE = 0.7  # what a letter counts that an alphabet has and its languages seldom need
_FOREIGN = 0.5  # what a letter counts that only other languages of the script have: that of a name
_MIXTURE = 0.9  # what letters count that are each of some language, but not all of one

_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_ONLY_OPENING = "‚„¿¡"
_IN_WORDS = {"’": 1.0, "–": 0.5, "—": 0.5, "·": 0.5, "\u00a0": 0.5, "\u00ad": 0.5}
_BEHIND_WORDS = "’‘“”»«›‹…–—·™®©ªº\u00a0"
_BEFORE_WORDS = "’‘“”»«›‹…–—·‚„¿¡\u00a0"
_HEBREW_FINALS = "ךםןףץ"
_THAI_BEFORE = re.compile(
    "[\u0e40-\u0e44][^\u0e01-\u0e2e]"
)  # a vowel that is written before its consonant: none follows
_THAI_BEHIND = re.compile(
    "[^\u0e01-\u0e4e][\u0e30-\u0e3a\u0e47-\u0e4e]"
)  # a vowel or tone of a consonant: none is there

_WESTERN = (
    *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "áâãàçéêíóôõú", "àèéìîòóù"),
    *("åäöéü", "æøåéö", "éëïèöü", "àçéèíïóòúü", "õäöü"),
)  # German, French, Spanish, Portuguese, Italian, Swedish and Finnish, Danish, Dutch, Catalan, Estonian
_ICELANDIC = "áðéíóúýþæö"
_CENTRAL = (
    *("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß"),
)  # Polish, Czech, Slovak, Hungarian, Romanian, Croatian and Slovene, German
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "õäöüšž")
_TURKISH = ("çğıöşüİ",)
_CYRILLIC = ("оеаинтсрвлкмдпу",)
_GREEK = ("αοιετσνηυρπκλςωάίόέή",)
_HEBREW = ("יוהלאתרבמשנםעחדקכ",)
_ARABIC = ("اليمنورتبةعدسفهك",)
_THAI = ("านรอกเงมยลวดทสตะปบคหแ่้ีิุั็์",)


class _Script(NamedTuple):
    """The letters of languages that are written in one script; ``rest`` are letters that the script has besides."""

    languages: tuple[str, ...]
    latin: bool = True
    rest: str = ""


_SCRIPTS = {
    "western": _Script(_WESTERN, rest="šžðýþ"),
    "icelandic": _Script((_ICELANDIC,)),
    "central": _Script(_CENTRAL),
    "baltic": _Script(_BALTIC),
    "turkish": _Script(_TURKISH, rest="âîû"),
    "cyrillic": _Script(_CYRILLIC, latin=False, rest="".join(map(chr, range(0x0430, 0x0460))) + "ґ"),
    "greek": _Script(_GREEK, latin=False, rest="".join(map(chr, range(0x0390, 0x03CF)))),
    "hebrew": _Script(_HEBREW, latin=False, rest="".join(map(chr, range(0x05B0, 0x05EB)))),
    "arabic": _Script(_ARABIC, latin=False, rest="".join(map(chr, range(0x0621, 0x06D3)))),
    "thai": _Script(_THAI, latin=False, rest="".join(map(chr, range(0x0E01, 0x0E5C)))),
}
_ENCODINGS = (
    *(("cp1252", "western"), ("cp1254", "turkish"), ("cp1250", "central"), ("iso8859_2", "central")),
    *(("cp1252", "icelandic"), ("cp1257", "baltic"), ("cp1251", "cyrillic"), ("koi8_r", "cyrillic")),
    *(("cp866", "cyrillic"), ("cp1253", "greek"), ("cp1255", "hebrew"), ("cp1256", "arabic"), ("cp874", "thai")),
    *(("cp850", "western"), ("cp852", "central"), ("mac_roman", "western")),
)
_WIDE = ("euc_jp", "cp932", "cp949", "gb18030", "big5")


def guess_encoding(sample: bytes) -> str:
    """Return the encoding in which the beginning of a text reads best, "" where it reads well in none."""
    sample = _few_signs(sample)
    candidates = [*_scores(sample)]
    few = len(sample.translate(None, bytes(range(128)))) < _TOO_FEW
    if few and any(score >= _PLAUSIBLE for score, encoding in candidates if encoding == _USUAL):
        return _USUAL
    if not few:
        candidates += [(wide_score(sample, encoding), encoding) for encoding in _WIDE]
    score, best = max(candidates, key=itemgetter(0))
    if score >= _PLAUSIBLE:
        return best
    return _USUAL if few else ""


def _few_signs(sample: bytes) -> bytes:
    """Return so much of ``sample`` as has the signs that are looked at."""
    places = [sign.start() for sign in islice(_HIGH.finditer(sample), _MOST_SIGNS + 1)]
    return sample[: places[-1]] if len(places) > _MOST_SIGNS else sample


def _scores(sample: bytes) -> Iterator[tuple[float, str]]:
    runs = (sample[max(run.start() - 1, 0) : run.end() + 1] for run in _HIGH_RUN.finditer(sample))
    signs = b"\n".join([b"", *runs, b""])  # each with its neighbours
    for encoding, name in _ENCODINGS:
        text = signs.decode(encoding, "replace")
        contexts = Counter(zip(text, text[1:], text[2:], strict=False))
        beyond = {context: count for context, count in contexts.items() if context[1] > "\x7f"}
        yield _score(beyond, _SCRIPTS[name]), encoding


def _score(contexts: Mapping[tuple[str, str, str], int], script: _Script) -> float:
    """Return how well the signs fit the language of the script that they fit best: 1 is perfect, -1 hopeless."""
    total = sum(contexts.values())
    scores = [
        factor * sum(count * _worth(context, letters, script) for context, count in contexts.items()) / total
        for letters, factor in _alphabets(script)
    ]
    return max(scores) if total else 0.0


@cache
def _alphabets(script: _Script) -> list[tuple[Mapping[str, float], float]]:
    """Return what each letter counts in each language of a script, and what the language's score is multiplied by."""
    every = "".join(script.languages)
    rest = {**dict.fromkeys(every, _FOREIGN), **dict.fromkeys(script.rest, _RARE)}
    alphabets: list[tuple[Mapping[str, float], float]]
    alphabets = [({**rest, **dict.fromkeys(letters, 1.0)}, 1.0) for letters in script.languages]
    return [*alphabets, (dict.fromkeys(every, 1.0), _MIXTURE)] if len(alphabets) > 1 else alphabets


def _worth(context: tuple[str, str, str], letters: Mapping[str, float], script: _Script) -> float:
    before, sign, after = context
    known = letters.get(sign) or letters.get(sign.lower(), 0.0)
    if known:
        return known if _fits(context, latin=script.latin) else -1.0
    if sign.isalpha() and sign not in "ªº":
        return -1.0
    if sign == "\ufffd" or not (sign.isprintable() or sign in _IN_WORDS):
        return -2.0
    return _worth_of_symbol(before, sign, after)


def _fits(context: tuple[str, str, str], *, latin: bool) -> bool:
    """Whether a letter may stand between its neighbours."""
    before, sign, after = context
    if before.islower() and sign.isupper():
        return False
    if sign in _HEBREW_FINALS and after.isalpha():
        return False
    if _THAI_BEFORE.match(sign + after) or _THAI_BEHIND.match(before + sign):
        return False
    beside = [other for other in (before, after) if other.isalpha()]
    foreign = sum(other.isascii() is not latin for other in beside)
    return foreign < 2 if latin else not foreign  # noqa: PLR2004 - accents seldom stand three in a row


def _worth_of_symbol(before: str, sign: str, after: str) -> float:
    if any(other > "\x7f" and not (other.isalpha() or other in _BEHIND_WORDS) for other in (before, after)):
        return 0.0
    if before.isalpha() and after.isalpha():
        return _IN_WORDS.get(sign, -1.0)
    if before.isalpha():
        return float(sign in _BEHIND_WORDS) - (sign in _ONLY_OPENING)
    return 0.5 if after.isalpha() and sign not in _BEFORE_WORDS else 1.0
