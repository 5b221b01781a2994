"""What the compiler of Varnish 7.7 says, in the user's own lines."""

import pytest

from varnish_gateway_operator.translate.vcl_messages import UserVcl, told

USER = UserVcl(("ConfigMap", "default", "vcl"), "user.vcl", "import directors;\n\nsub vcl_recv {\n  x\n}\n", 101)


def said(text: str, user: UserVcl = USER) -> str:
    return told(text.format(place=r"(main.vcl Line 104 Pos 3)"), user).within(user.key)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Symbol not found: 'std.log'\nAt: {place} -- (Pos 22)\n  std.log(\"secret\");\n--#######----\n\n"
            'Symbol not found.\n{place}\n  std.log("secret");\n--#\n',
            "user.vcl:4:3: Symbol not found: 'std.log'; add: import std;",
        ),
        (
            "Symbol not found: 'directors.nothing'\nAt: {place} -- (Pos 22)\n  x\n--#---\n",
            "user.vcl:4:3: Symbol not found: 'directors.nothing'",
        ),
        (
            "Symbol not found: 'no.such.thing'\nAt: {place}\n  set secret\n------#---\n",
            "user.vcl:4:3: Symbol not found: 'no.such.thing'",
        ),
        (
            "Expected ';' got '}}'\n(program line 186), at\n{place}\n  secret }}\n---------#\n",
            "user.vcl:4:3: Expected ';' got '}'",
        ),
        (
            "Unknown token ';' when looking for STRING\n\n{place}\n  secret = ;\n---#--\n",
            "user.vcl:4:3: Unknown token ';' when looking for STRING",
        ),
        (
            "The names 'vcl_*' are reserved for subroutines.\n{place}\nsub vcl_secret {{ }}\n----####---\n\n"
            "Valid vcl_* subroutines are:\n\tvcl_recv\n",
            "user.vcl:4:3: The names 'vcl_*' are reserved for subroutines.",
        ),
        (
            "Undefined sub nothing, first reference:\n{place}\n  call secret;\n---#--\n",
            "user.vcl:4:3: Undefined sub nothing",
        ),
        (
            "{place} -- (Pos 29)\n  set beresp.ttl = 1s; # secret\n-----####--------\n\n"
            "Cannot be set in subroutine 'vcl_recv'.\n",
            "user.vcl:4:3: Cannot be set in subroutine 'vcl_recv'.",
        ),
        (
            "{place} -- (Pos 22)\nsub f {{ set beresp.ttl = 1s; }} # secret\n----####----\n\n"
            "Cannot be set from subroutine 'vcl_recv'.\n\n"
            '...in subroutine "f"\n(main.vcl Line 103 Pos 5)\nsub f {{ }}\n----#---\n',
            "user.vcl:4:3: Cannot be set from subroutine 'vcl_recv'.",
        ),
        (
            "Regexp compilation error:\n\nmissing closing parenthesis\n\n{place} -- (Pos 28)\nsecret\n-----\n",
            "user.vcl:4:3: Regexp compilation error: missing closing parenthesis",
        ),
        (
            "Symbol cannot be used here.\n(main.vcl Line 300 Pos 1)\nsub vcl_deliver {{\n###----\n",
            "user.vcl:5:1: Symbol cannot be used here. at its end: is a '{' or a quote not closed?",
        ),
        ("VCL filename is odd.", "user.vcl: VCL filename is odd."),
        ("", "user.vcl: does not compile"),
    ],
)
def test_the_fact_and_the_users_own_line(message: str, expected: str) -> None:
    assert said(message) == expected
    assert "secret" not in said(message)


def test_a_vmod_that_is_imported_need_not_be_added() -> None:
    assert said("Symbol not found: 'directors.x'\nAt: {place}\n").endswith("'directors.x'")
    without = USER._replace(text="\n\n\n  directors.x\n}\n")
    assert said("Symbol not found: 'directors.x'\nAt: {place}\n", without).endswith("add: import directors;")


def test_without_a_text_of_the_users_there_is_but_the_fact() -> None:
    assert told("Expected ';'\n(main.vcl Line 3 Pos 1)\nx\n#\n", None).fact == "Expected ';'"
