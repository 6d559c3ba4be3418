"""The profile: the seed's serializer chapter on real data."""

import asyncio
from typing import Any

import pytest
from marshmallow import ValidationError

from server.schemas.profile import ProfileReplace, ProfileUpdate, is_reserved
from tests.conftest import Stack
from tests.people import bearer, sign_up

OURS = [
    "管理员",
    "超级管理员",
    "管 理 员",
    "超级管理員",
    "管理员1号",
    "admin",
    "Administrator",
    "ＡＤＭＩＮ",
    "аdmіn",
    "adm1n",
    "@dmin",
    "super_admin",
    "root",
    "r00t",
]
PEOPLES = ["张三", "Badminton fan", "Groot", "李管家", "理员", "Adam", "👨‍👩‍👧", "Ömer", "hm_abcdefghij"]


@pytest.mark.parametrize("name", OURS)
def test_a_name_that_looks_like_ours_is_refused(name: str) -> None:
    """However it is written."""
    assert is_reserved(name)
    assert ProfileUpdate().validate({"name": name}) == {"name": ["field.name_reserved"]}


@pytest.mark.parametrize("name", PEOPLES)
def test_a_name_of_people_is_taken(name: str) -> None:
    """Also one that has the letters of ours by chance."""
    assert ProfileUpdate().load({"name": name}) == {"name": name}


def test_each_field_says_what_is_wrong_with_it() -> None:
    """All at once, in words of its own."""
    faults = ProfileReplace().validate({"name": "", "age": 101, "sex": 3, "active": "yes", "description": "x" * 201})
    assert faults == {
        "name": ["field.name_length"],
        "age": ["field.age"],
        "sex": ["field.sex"],
        "active": ["field.invalid"],
        "description": ["field.too_long"],
    }


def test_what_is_left_out_of_a_whole_has_its_default_and_of_a_part_stays() -> None:
    """Only the name has none."""
    blank = {"name": "张三", "age": None, "sex": 0, "active": True, "description": ""}
    assert ProfileReplace().load({"name": " 张三 "}) == blank
    assert ProfileReplace().validate({}) == {"name": ["field.required"]}
    assert ProfileUpdate().load({}) == {}


def test_what_only_we_write_is_refused_like_any_unknown_field() -> None:
    """Nobody gives himself an id, a number or a role."""
    for name in ("id", "username", "mobile", "created_at", "role", "version"):
        with pytest.raises(ValidationError, match=r"field\.unknown"):
            ProfileUpdate().load({name: "x"})


@pytest.mark.parametrize("text", ["a\u202eb", "a\u0000", "a\u200b", "a\nb"])
def test_what_cannot_be_seen_is_refused_in_a_name(text: str) -> None:
    """It would show another name than is stored."""
    assert ProfileUpdate().validate({"name": text}) == {"name": ["field.characters"]}


@pytest.mark.gen_test(timeout=30)
async def test_an_inactive_profile_needs_a_description(stack: Stack) -> None:
    """Judged over what is stored and what comes: in whichever order, and whichever of the two would break it."""
    rest, token = stack.rest(), bearer((await sign_up(stack)).body["token"])

    async def patch(**part: Any) -> Any:
        return await rest.ask("PATCH", "/user/me/", part, **token)

    refused = await patch(active=False)
    assert [*refused.error["params"]["fields"]] == ["description"]
    assert (await patch(description="出差")).body["active"] is True
    assert (await patch(active=False)).body["active"] is False
    assert [*(await patch(description="")).error["params"]["fields"]] == ["description"]
    shown = (await patch(active=True, description="")).body
    assert (shown["active"], shown["description"]) == (True, "")


@pytest.mark.gen_test(timeout=30)
async def test_a_profile_shows_whose_it_is_with_the_number_masked(stack: Stack) -> None:
    """Who has told no name is called by the username."""
    made = await sign_up(stack)
    shown = (await stack.rest().get("/user/me/", **bearer(made.body["token"]))).body
    assert shown.pop("created_at") <= stack.clock.now()
    assert shown == {
        "id": made.body["id"],
        "username": made.body["username"],
        "mobile": "154****0001",
        "name": made.body["username"],
        "age": None,
        "sex": 0,
        "active": True,
        "description": "",
    }


@pytest.mark.gen_test(timeout=30)
async def test_two_changes_at_once_are_both_kept(stack: Stack) -> None:
    """Neither takes the other's back, and together they are judged as one."""
    rest, token = stack.rest(), bearer((await sign_up(stack)).body["token"])
    parts: list[dict[str, Any]] = [{"name": "李四"}, {"age": 30}, {"sex": 2}, {"description": "你好"}]
    answers = await asyncio.gather(*(rest.ask("PATCH", "/user/me/", part, **token) for part in parts))
    assert {answer.status for answer in answers} == {200}
    shown = (await rest.get("/user/me/", **token)).body
    for part in parts:
        assert part.items() <= shown.items()
