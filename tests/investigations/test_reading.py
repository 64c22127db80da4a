"""Records come out of every shape one by one, and what cannot be used says where and why."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigations.reading import Record, TooLarge, Unreadable, read_records, records_of

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc é日", max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["id", "title", "evidence", "é"]), JSON_VALUES, max_size=4)


def read(text: str | bytes, **options: Any) -> list[Record | Unreadable]:
    return list(read_records(io.BytesIO(text.encode() if isinstance(text, str) else text), **options))


@given(st.lists(OBJECTS, min_size=2, max_size=5), st.sampled_from([None, 1]), st.sampled_from(["", "\ufeff"]))
def test_every_shape_gives_the_same_records_at_its_own_places(
    objects: list[dict[str, Any]], indent: int | None, mark: str
) -> None:
    lines = "\r\n\n".join(json.dumps(item, ensure_ascii=False) for item in objects)
    page = {"@odata.context": "x", "value": objects, "@odata.nextLink": "https://graph.example/next"}

    as_lines = read(mark + lines)
    as_list = read(mark + json.dumps(objects, indent=indent))
    as_page = read(mark + json.dumps(page, indent=indent))

    assert as_lines == [Record(f"line {2 * n + 1}", item) for n, item in enumerate(objects)]
    assert as_list == [Record(f"[{n}]", item) for n, item in enumerate(objects)]
    assert as_page == [Record(f"value[{n}]", item) for n, item in enumerate(objects)]
    assert as_page == list(records_of(page))


@given(OBJECTS, st.sampled_from([None, 2]))
def test_one_object_is_one_record(item: dict[str, Any], indent: int | None) -> None:
    assert read(json.dumps(item, indent=indent) + "\n") == [Record("(document)", item)]


@given(st.binary(max_size=60) | st.text('{}[]",:0 \nabcNfty\\ud8-+.e', max_size=40).map(str.encode))
def test_no_input_escapes_as_an_exception(noise: bytes) -> None:
    for found in read(noise):
        assert isinstance(found, Record | Unreadable)


def test_a_bad_line_is_named_and_the_others_are_read() -> None:
    text = '{"id": 1}\n\n{"id": \n[1]\n"id"\n{"id": 2}\nnull'

    assert read(text) == [
        Record("line 1", {"id": 1}),
        Unreadable("line 3", "not JSON: Expecting value (column 7)"),
        Unreadable("line 4", "not a JSON object"),
        Unreadable("line 5", "not a JSON object"),
        Record("line 6", {"id": 2}),
        Unreadable("line 7", "not a JSON object"),
    ]


@pytest.mark.parametrize("first", ['{"id": "cut o', '{"id": tru}', '{"id": 1}}', "[1]", '{"a":' + "[" * 200_000])
def test_a_bad_first_line_does_not_spoil_the_rest(first: str) -> None:
    found = read(first + '\n{"id": 2}\n{"id": 3}\n')

    assert isinstance(found[0], Unreadable)
    assert found[0].position == "line 1"
    assert found[1:] == [Record("line 2", {"id": 2}), Record("line 3", {"id": 3})]


def test_a_list_in_a_page_may_begin_anywhere() -> None:
    assert read('{"value": [\n{"id": 1}\n,{"id": 2}]}') == [
        Record("value[0]", {"id": 1}),
        Record("value[1]", {"id": 2}),
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "a number is not finite (NaN or Infinity)"),
        ("-Infinity", "a number is not finite (NaN or Infinity)"),
        ("1e999", "a number is not finite (NaN or Infinity)"),
        (r'"a\u0000b"', "a text holds a NUL character"),
        (r'"a\ud800b"', "a text holds half a character (a lone surrogate)"),
        (r'{"\u0000": 1}', "a text holds a NUL character"),
        ("[" * 100 + "]" * 100, "nested too deep, more than 100 levels"),
    ],
)
def test_what_no_database_keeps_is_refused_alone(value: str, reason: str) -> None:
    bad, good = f'{{"evidence": [{{"x": {value}}}]}}', '{"id": 2}'

    assert read(f"{bad}\n{good}") == [Unreadable("line 1", reason), Record("line 2", {"id": 2})]
    assert read(f"[{bad},{good}]") == [Unreadable("[0]", reason), Record("[1]", {"id": 2})]
    assert read(f'{{"value":[{bad},{good}]}}') == [Unreadable("value[0]", reason), Record("value[1]", {"id": 2})]
    assert read(bad) == [Unreadable("(document)", reason)]


def test_a_record_may_be_a_hundred_levels_deep() -> None:
    at_the_limit, beyond = "[" * 99 + "]" * 99, "[" * 100 + "]" * 100

    assert isinstance(read(f'{{"x": {at_the_limit}}}')[0], Record)
    assert isinstance(read(f'{{"x": {beyond}}}')[0], Unreadable)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "there is nothing in it"),
        (b" \n\n ", "there is nothing in it"),
        (b'\n\n[\n\n{"id": 1},\n{"id" 2}]', "not JSON: Expecting ':' delimiter (line 6, column 7)"),
        (b'{"id": "\xff"}', "not UTF-8 at byte 8"),
        ("{}".encode("utf-16"), "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"id": ' + b"9" * 5000 + b"}", "a number has too many digits"),
        (b'"alert"', "not a JSON object"),
        (b'{"id": 1} {"id": 2}', "not JSON: Extra data (column 11)"),
    ],
)
def test_a_document_that_is_none_is_one_refusal(text: bytes, reason: str) -> None:
    assert read(text) == [Unreadable("(document)", reason)]


def test_a_page_may_be_empty() -> None:
    assert read('{"value": []}') == read("[]") == []


def test_a_half_character_written_as_two_escapes_is_one_character() -> None:
    assert read(r'{"title": "\ud83d\ude00"}') == [Record("(document)", {"title": "😀"})]


def test_only_shapes_that_stream_may_be_larger_than_the_limit() -> None:
    line = '{"id": 1}\n'

    assert len(read(line * 1000, limit_bytes=len(line))) == 1000
    for document in ("[" + ",".join([line] * 1000) + "]", json.dumps({"value": [{"id": 1}] * 100}), " " * 99 + line):
        with pytest.raises(TooLarge, match="larger than 50 bytes"):
            read(document, limit_bytes=50)


def test_a_line_over_the_limit_is_refused_alone() -> None:
    long = '{"id": "' + "x" * 500 + '"}'

    found = read(f'{{"id": 1}}\n{long}\n{{"id": 3}}', limit_bytes=50)

    assert [item.position for item in found] == ["line 1", "line 2", "line 3"]
    assert isinstance(found[1], Unreadable)
    assert "larger than 50 bytes" in found[1].reason
    assert found[2] == Record("line 3", {"id": 3})


def test_lines_are_read_no_further_than_asked() -> None:
    stream = io.BytesIO(b'{"id": 1}\n' * 100_000)

    next(read_records(stream))

    assert stream.tell() == 20
