"""Lines of keys: counted by hand, and against what tomllib reads on random documents."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.watch.toml_lines import lines

DOCUMENT = '''\
# 1
top = 1
"a.b".c.'d e' = 3

[store] # 5
path = """
# 7 no comment
[8]
"""
deep = {x = 1, "y z" = [1, 2], w.v = "}#"}

[[cameras]]
name = 'gate#'
tiles = [ # 14
    2,
    [16, "]", \'\'\'
] \'\'\'],

    19, # comment ]
]
[cameras.inner]
on = true
[[cameras]]
name = "say \\"[[x]]\\""
when = 1979-05-27 07:32:00
[ "cameras" . 'more' ]
[[cameras.many]]
[[cameras.many]]
n = 29
'''
LINES = {
    ("top",): 2, ("a.b",): 3, ("a.b", "c"): 3, ("a.b", "c", "d e"): 3, ("store",): 5,
    ("store", "path"): 6, ("store", "deep"): 10, ("store", "deep", "x"): 10,
    ("store", "deep", "y z"): 10, ("store", "deep", "y z", 0): 10, ("store", "deep", "y z", 1): 10,
    ("store", "deep", "w"): 10, ("store", "deep", "w", "v"): 10, ("cameras",): 12,
    ("cameras", 0): 12, ("cameras", 0, "name"): 13, ("cameras", 0, "tiles"): 14,
    ("cameras", 0, "tiles", 0): 15, ("cameras", 0, "tiles", 1): 16,
    ("cameras", 0, "tiles", 1, 0): 16, ("cameras", 0, "tiles", 1, 1): 16,
    ("cameras", 0, "tiles", 1, 2): 16, ("cameras", 0, "tiles", 2): 19,
    ("cameras", 0, "inner"): 21, ("cameras", 0, "inner", "on"): 22, ("cameras", 1): 23,
    ("cameras", 1, "name"): 24, ("cameras", 1, "when"): 25, ("cameras", 1, "more"): 26,
    ("cameras", 1, "many"): 27, ("cameras", 1, "many", 0): 27, ("cameras", 1, "many", 1): 28,
    ("cameras", 1, "many", 1, "n"): 29,
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_counted_by_hand(end):
    assert lines(DOCUMENT.replace("\n", end)) == LINES


@pytest.mark.parametrize("text", ["", "\n", "# only", "a=1", 'a=""', "a=''", 'a=""""""', "a=[]",
                                  "a={}", 'a = """x"""""', "a = '''x'''''", "a=[[],[]]"])
def test_odd_documents(text):
    assert set(lines(text)) >= set(keys(tomllib.loads(text)))


def keys(value, key=()):
    """The keys of everything within a parsed document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for part, inner in parts:
        yield (*key, part)
        if isinstance(inner, dict | list):
            yield from keys(inner, (*key, part))


names = st.sampled_from(["a", "b-1", "'c d'", '"e.f"', '"g#"'])
strings = st.sampled_from(['""', '"#["', '"\\"]"', "''", "'\"'", '"""\n\n]"""', "'''\n}\n'''",
                           '"""""\n"""""'])
blanks = st.sampled_from(["", " ", "\n", " # ]\n", "\n\n\t"])


@st.composite
def documents(draw):
    """A TOML text in which each ``N`` is to become its own line's number."""

    def value(depth):
        kind = draw(st.sampled_from(["N", "string", "array", "table"][: 2 if depth > 2 else 4]))
        if kind == "string":
            return draw(strings)
        if kind == "array":
            items = [value(depth + 1) for _ in range(draw(st.integers(0, 3)))]
            return "[" + "".join(f"{draw(blanks)}{item}{draw(blanks)}," for item in items) + "]"
        if kind == "table":
            parts = draw(st.lists(names, max_size=3, unique=True))
            return "{" + ", ".join(f"{part} = {value(depth + 1)}" for part in parts) + "}"
        return "N"

    blocks = ["", *draw(st.lists(st.sampled_from(["[[t]]", "[[t.u]]", "[[ t . 'v w' ]]"])))]
    text = ""
    for block in blocks:
        pairs = draw(st.lists(names, max_size=3, unique=True))
        text += f"{block}{draw(blanks)}\n"
        text += "".join(f"{draw(blanks)}{name} = {value(0)}\n" for name in pairs)
    return "\n".join(
        line.replace("N", str(number)) for number, line in enumerate(text.split("\n"), 1)
    )


@settings(max_examples=150, deadline=None)
@given(documents())
def test_numbers_stand_on_the_lines_they_name(text):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # [[t.u]] before [[t]] makes t a table
        return
    found = lines(text)
    assert set(found) == set(keys(document))
    for key in found:
        value = document
        for part in key:
            value = value[part]
        if isinstance(value, int):
            assert value == found[key]
