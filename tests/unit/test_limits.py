"""Limits and the budget that counts against them."""

import dataclasses

import pytest

from nemo_retriever_dagster.errors import InvalidOptionError, LimitExceededError
from nemo_retriever_dagster.limits import Budget, Limits


def test_a_budget_is_spent_up_to_the_limit_and_not_beyond():
    budget = Budget(Limits(pages=3))
    for _ in range(3):
        budget.spend("pages")
    with pytest.raises(LimitExceededError, match=r"pages of at least 4; the limit is 3") as caught:
        budget.spend("pages", page=4)
    assert caught.value.page == 4
    assert "Limits" in caught.value.hint


def test_limits_are_counted_apart():
    budget = Budget(Limits(pages=1, elements=5))
    budget.spend("pages")
    budget.spend("elements", 5)
    assert budget.spent == {"pages": 1, "elements": 5}
    with pytest.raises(LimitExceededError, match="elements"):
        budget.spend("elements")


def test_check_does_not_spend():
    budget = Budget(Limits(depth=10))
    budget.check("depth", 10)
    budget.check("depth", 10)
    with pytest.raises(LimitExceededError, match="depth"):
        budget.check("depth", 11)
    assert budget.spent == {}


@pytest.mark.parametrize("value", [0, -1, "many", None, float("nan")])
def test_a_limit_that_no_document_could_keep_is_refused(value):
    with pytest.raises(InvalidOptionError, match="pages is"):
        Limits(pages=value)


def test_a_limit_that_does_not_exist_is_a_bug():
    with pytest.raises(AttributeError):
        Budget(Limits()).spend("page")


@pytest.mark.parametrize("field", dataclasses.fields(Limits), ids=lambda field: field.name)
def test_every_limit_is_positive(field: "dataclasses.Field[float]"):
    assert getattr(Limits(), field.name) > 0
