"""Number formats: a value comes out as the spreadsheet shows it."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.extract.xlsx_shown import shown

ACCOUNTING = r'_("$"* #,##0.00_);_("$"* \(#,##0.00\);_("$"* "-"??_);_(@_)'
PHONE = "[<=9999999]###-####;(###) ###-####"


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.125, "0.0%", "12.5%"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407]#,##0", "€1,235"),
        (1234.5, r"#,##0.00\ [$€-407]", "1,234.50 €"),
        (3, '0 "days"', "3 days"),
        (5_000_000, '0.0,,"M"', "5.0M"),
        (1234567, '#,##0,"k"', "1,235k"),
        (5, '0"a;b"', "5a;b"),
        (1234.5, "#'##0.00", "1'234.50"),
    ],
)
def test_groups_units_and_per_cent(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234, "00000", "01234"),
        (42, "0000000", "0000042"),
        (1234567, "000,000,000", "001,234,567"),
        (123456789, "000-00-0000", "123-45-6789"),
        (12345678, "00000-0000", "01234-5678"),
        (5551234567, "(###) ###-####", "(555) 123-4567"),
        (15551234567, "(###) ###-####", "(1555) 123-4567"),
        (5551234567, PHONE, "(555) 123-4567"),
        (5551234, PHONE, "555-1234"),
    ],
)
def test_identifiers_keep_their_zeros_and_parts(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (2.5, "0", "3"),
        (-2.5, "0", "-3"),
        (0.125, "0.00", "0.13"),
        (0.125, "0%", "13%"),
        (1.005, "0.00", "1.01"),
        (12345678901234567, "0", "12345678901234600"),
        (1.5, "0.0#", "1.5"),
        (1.25, "0.0#", "1.25"),
        (5, "0.##", "5"),
        (0.5, "#.##", ".5"),
        (12.3, ".00", "12.30"),
    ],
)
def test_rounding_and_decimals(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (-42, "#,##0_);(#,##0)", "(42)"),
        (-42, "0.0;[Red]-0.0", "-42.0"),
        (0, '0.0;-0.0;"none"', "none"),
        (0, '"Yes";"Yes";"No"', "No"),
        (1234.5, ACCOUNTING, "$1,234.50"),
        (-1234.5, ACCOUNTING, "$(1,234.50)"),
        (0, ACCOUNTING, "$-"),
        (1234567, r"[>=100000]##\,##\,##0;##,##0", "12,34,567"),
        (1234, r"[>=100000]##\,##\,##0;##,##0", "1,234"),
        (-5, "[<100]0.0;0", "-5.0"),
        (-5, "[<0]0;0", "5"),
        (7, '[=1]0 "day";[=0]"none";0 "days"', "7 days"),
        (1, '[=1]0 "day";[=0]"none";0 "days"', "1 day"),
        (-3, "0;@", "-3"),
    ],
)
def test_the_section_is_chosen_by_sign_or_condition(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (7, ";;;", "7"),
        (0, "#", "0"),
        (0.5, "# ?/?", "0.5"),
        (12345.678, "0.00E+00", "12345.678"),
        (7, "General", "7"),
        (7, "@", "7"),
        (7, "", "7"),
        (7, "0" * 256, "7"),
        (7, "[<1..2]0", "7"),
        (1e300, "yyyy", "1e+300"),
        (1e300, "[h]:mm", "1e+300"),
    ],
)
def test_what_cannot_be_followed_is_the_plain_number(value, code, text):
    assert shown(value, code) == text


def test_the_largest_number_in_the_longest_format():
    assert shown(1e308, "%" * 253 + "0") == "%" * 253 + "1" + "0" * (308 + 506)
    assert len(shown(1e308, "0." + "0" * 253)) == 309 + 254


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (45352, "yyyy-mm-dd", "2024-03-01"),
        (45352, '"Date: "dd/mm/yyyy', "2024-03-01"),
        (45352.5, "d.m.yy h:mm", "2024-03-01 12:00"),
        (0.5, "h:mm AM/PM", "12:00:00"),
        (1.25, "[h]:mm", "30:00"),
        (26 / 24, "[hh]:mm:ss", "26:00:00"),
        (0.0625, "[mm]:ss", "90:00"),
        (0.0625, "[ss]", "5400"),
        (-0.0625, "[h]:mm", "-1:30"),
        (1.5 / 86_400, "[h]:mm:ss.0", "0:00:01.5"),
        (59.6 / 86_400, "[h]:mm:ss", "0:01:00"),
        (119 / 86_400, "[h]:mm", "0:01"),
    ],
)
def test_dates_and_durations(value, code, text):
    assert shown(value, code) == text


def test_dates_of_the_other_epoch():
    assert shown(1, "yyyy-mm-dd", mac_epoch=True) == "1904-01-02"
    assert shown(1.25, "[h]:mm", mac_epoch=True) == "30:00"
