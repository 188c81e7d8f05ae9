"""The error tree: categories, hints, redaction, and errors that cross a process boundary whole."""

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster import errors
from nemo_retriever_dagster.errors import Category, MisuseError, RetrieverError, UnknownOptionError, redact


def tree(kind: type[RetrieverError] = RetrieverError) -> list[type[RetrieverError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in tree(child))]


def ours() -> list[type[RetrieverError]]:
    return [kind for kind in tree() if kind.__module__ == errors.__name__]


def test_the_docstring_shows_the_whole_tree():
    for kind in ours():
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", ours(), ids=lambda kind: kind.__name__)
def test_every_error_explains_itself(kind: type[RetrieverError]):
    error = kind()
    assert error.message.endswith(".")
    assert error.category in Category


@given(st.sampled_from(ours()), st.text(), st.text(), st.integers(0, 99))
def test_errors_are_pickled_whole(kind: type[RetrieverError], message: str, hint: str, page: int):
    error = kind(message, hint=hint, page=page)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.page, str(again)) == (error.message, error.hint, error.page, str(error))


def test_text_is_message_then_hint():
    assert str(RetrieverError("It broke.", hint="Mend it.")) == "It broke. Mend it."
    assert str(RetrieverError("It broke.")) == "It broke."


def test_misuse_is_also_what_python_raises():
    assert issubclass(MisuseError, ValueError)
    assert issubclass(UnknownOptionError, TypeError)


def test_unknown_option_names_the_nearest():
    error = UnknownOptionError.of("extract", "extract_tabels", ["extract_text", "extract_tables"])
    assert str(error) == "extract() has no option 'extract_tabels'. Did you mean 'extract_tables'?"
    far = UnknownOptionError.of("split", "zzz", ["b", "a"])
    assert far.hint == "Valid options: a, b."
    inside = UnknownOptionError.of("split(params=...)", "zzz", ["a"])
    assert inside.message == "split(params=...) has no option 'zzz'."


def test_missing_dependency_says_what_to_install():
    error = errors.MissingDependencyError.of("gs://", "pip install x[gcs]")
    assert "gs://" in str(error)
    assert "pip install x[gcs]" in error.hint


SECRET = "abcDEF123456_-x"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"nvapi-{SECRET}",
        f"hf_{SECRET}",
        f"sk-{SECRET}",
        f"https://h/x?api_key={SECRET}&a=1",
        f"https://h/x?a=1&X-Amz-Signature={SECRET}",
        f"https://h/x?sig={SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        f"password={SECRET}",
        f"AWS_SECRET: {SECRET}",
        f"aws_secret_access_key={SECRET}",
        f"secret_key='{SECRET}'",
        f"access_key={SECRET}",
        f"AccountName=x;AccountKey={SECRET}==;",
        f"Authorization: Basic {SECRET}==",
        f"{{'authorization': 'Basic {SECRET}'}}",
        f"https://h/x?key=AIza{SECRET}",
        f"postgresql://user:{SECRET}@host/db",
        f"https://user:{SECRET}@host/x",
        f"https://{SECRET}@host/x",
        f"https://h/x?subscription-key={SECRET}&a=1",
    ],
)
def test_secrets_are_taken_out(text: str):
    assert SECRET not in redact(text)
    assert "***" in redact(text)
    error = RetrieverError(text, hint=text)
    assert SECRET not in str(error) + repr(error) + error.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Page 3 of 4 is cut.",
        "https://host/a.pdf?id=7",
        "s3://bucket/key",
        "The token is missing.",
        "split(): hf_access_token is wrong.",
        "split() takes hf_access_token, not hf_acces_token.",
        "Give access_key, secret_key and bucket_name.",
        "Basic authorization: see the server's log.",
        "Bucket.of_minio(access_key=..., secret_key=..., bucket_name=...)",
        "https://host/a.pdf?key=chapter-1&code=7",
    ],
)
def test_plain_text_is_left_alone(text: str):
    assert redact(text) == text


@given(st.text())
def test_redaction_is_done_once_and_for_all(text: str):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("part", ["a", "sk-", "hf_a", "token=", "://a:", "authorization: ", "bearer"])
def test_a_long_text_takes_no_long_time(part: str):
    started = time.monotonic()
    redact(part * (200_000 // len(part)))
    assert time.monotonic() - started < 2
