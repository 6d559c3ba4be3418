"""Each vendor's words for a refusal, and what they mean to us."""

from typing import Any

import orjson
import pytest

from server.sms.provider import FailureKind, SendFailed, SendResult
from tests.sms.support import ScriptedHttp, an_sms, build, failure_of, finish, vendor_and_provider
from tests.vendors import STAND_INS

TABLES: dict[str, dict[FailureKind, str]] = {
    "yuntongxun": {
        "config": "111109 111141 111181 111182 111177 111180 112300 112306 112303 112307 112308 112310 112311 112323 "
        "160032 113302 160031 160043 160052 160033 160049 160048 160053 999999 160099",
        "limit_user": "160021 160022 160054 160056 160038 160039 160040 160041",
        "limit_service": "112314 160014 121002 110007 110129",
        "transient": "160000 160050 160001 160005 160010 160016",
        "permanent": "112317 160034 160042",
    },
    "aliyun": {
        "config": "isv.SMS_SIGNATURE_ILLEGAL isv.SMS_TEMPLATE_ILLEGAL isv.TEMPLATE_MISSING_PARAMETERS isv.NEW_ONE "
        "isv.BLACK_KEY_CONTROL_LIMIT isp.RAM_PERMISSION_DENY isv.DENY_IP_RANGE SignatureDoesNotMatch "
        "InvalidAccessKeyId.NotFound InvalidTimeStamp.Expired isv.INVALID_PARAMETERS",
        "limit_user": "isv.BUSINESS_LIMIT_CONTROL",
        "limit_service": "isv.AMOUNT_NOT_ENOUGH isv.OUT_OF_SERVICE isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL",
        "transient": "isp.SYSTEM_ERROR isp.GATEWAY_ERROR isp.NEW_ONE Throttling Throttling.User ServiceUnavailable "
        "InternalError SignatureNonceUsed",
        "permanent": "isv.MOBILE_NUMBER_ILLEGAL",
    },
    "tencent": {
        "config": "FailedOperation.SignatureIncorrectOrUnapproved FailedOperation.TemplateIncorrectOrUnapproved "
        "FailedOperation.ContainSensitiveWord FailedOperation.NewOne AuthFailure.SignatureFailure "
        "AuthFailure.SignatureExpire AuthFailure.SecretIdNotFound UnauthorizedOperation.RequestIpNotInWhitelist "
        "InvalidParameterValue.SdkAppIdNotExist MissingParameter UnsupportedOperation.NewOne "
        "InternalError.RequestTimeException InternalError.SigVerificationFail",
        "limit_user": "LimitExceeded.PhoneNumberDailyLimit LimitExceeded.PhoneNumberOneHourLimit "
        "LimitExceeded.PhoneNumberThirtySecondLimit LimitExceeded.PhoneNumberSameContentDailyLimit "
        "LimitExceeded.DeliveryFrequencyLimit",
        "limit_service": "LimitExceeded.AppDailyLimit LimitExceeded.DailyLimit LimitExceeded.NewOne "
        "FailedOperation.InsufficientBalanceInSmsPackage UnauthorizedOperation.ServiceSuspendDueToArrears",
        "transient": "InternalError InternalError.UnknownError InternalError.OtherError RequestLimitExceeded "
        "RequestLimitExceeded.IPLimitExceeded ResourceUnavailable ServiceUnavailable",
        "permanent": "FailedOperation.PhoneNumberInBlacklist InvalidParameterValue.IncorrectPhoneNumber",
        "unknown": "InternalError.Timeout InternalError.SendAndRecvFail",
    },
    "webhook": {
        "config": "config",
        "limit_user": "limit_user",
        "limit_service": "limit_service",
        "transient": "transient",
        "permanent": "permanent",
        "unknown": "unknown",
    },
}
ROWS = [(name, kind, code) for name, table in TABLES.items() for kind in table for code in table[kind].split()]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("name, kind, code", ROWS)
async def test_pv_7_a_code_means_what_its_table_says(name: str, kind: str, code: str) -> None:
    """In an answer of the vendor's own shape; nothing was taken."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("error", code=code)
        failed = await failure_of(provider)
    assert failed.kind == kind
    assert failed.code == ("" if name == "webhook" else code)


def judge(name: str, status: int, answer: Any, **sms: Any) -> SendResult | SendFailed:
    """What a provider makes of an answer."""
    body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    provider = build(name, STAND_INS[name](port=9).environ(), ScriptedHttp(status, body))
    try:
        return finish(provider.send(an_sms(**sms)))
    except SendFailed as failed:
        return failed


TAKEN = {
    "yuntongxun": {"statusCode": "000000", "templateSMS": {"smsMessageSid": "s1", "dateCreated": "20130201155306"}},
    "aliyun": {"Code": "OK", "Message": "OK", "BizId": "s1", "RequestId": "r"},
    "tencent": {"Response": {"SendStatusSet": [{"SerialNo": "s1", "Fee": 1, "Code": "Ok"}], "RequestId": "r"}},
    "webhook": {"message_id": "s1"},
}


@pytest.mark.parametrize("name", TAKEN)
def test_pv_7_the_word_for_success_is_success(name: str) -> None:
    """The vendor's id comes with it."""
    assert judge(name, 200, TAKEN[name]) == SendResult("s1")


@pytest.mark.parametrize("name", ["yuntongxun", "aliyun", "tencent"])
@pytest.mark.parametrize("status", [202, 400, 500])
def test_pv_7_success_needs_its_status_too(name: str, status: int) -> None:
    """These vendors say success with 200 and nothing else."""
    failed = judge(name, status, TAKEN[name])
    assert isinstance(failed, SendFailed)
    assert failed.kind in ("unknown", "config", "transient")


@pytest.mark.parametrize(
    "name, answer",
    [
        ("yuntongxun", {"statusCode": "000000"}),
        ("yuntongxun", {"statusCode": "000000", "templateSMS": []}),
        ("yuntongxun", {"statusCode": "000000", "templateSMS": {"smsMessageSid": 17}}),
        ("aliyun", {"Code": "OK", "BizId": None}),
        ("tencent", {"Response": {"SendStatusSet": [{"Code": "Ok", "SerialNo": ["s1"]}]}}),
    ],
)
def test_pv_7_success_without_an_id_is_success(name: str, answer: Any) -> None:
    """The SMS is on its way, only a receipt for it may find nobody."""
    assert judge(name, 200, answer) == SendResult("")


@pytest.mark.parametrize(
    "name, answer",
    [
        ("yuntongxun", {}),
        ("yuntongxun", {"statusCode": 0}),
        ("yuntongxun", {"statusCode": 160038}),
        ("yuntongxun", {"statusCode": None}),
        ("yuntongxun", {"statusCode": ["000000"]}),
        ("yuntongxun", {"statusCode": ""}),
        ("aliyun", {}),
        ("aliyun", {"Code": True}),
        ("aliyun", {"Code": {"Code": "OK"}}),
        ("tencent", {}),
        ("tencent", {"Response": None}),
        ("tencent", {"Response": [{"Code": "Ok"}]}),
        ("tencent", {"Response": {"SendStatusSet": {}}}),
        ("tencent", {"Response": {"SendStatusSet": []}}),
        ("tencent", {"Response": {"SendStatusSet": ["Ok"]}}),
        ("tencent", {"Response": {"SendStatusSet": [{"Code": 0}]}}),
        ("tencent", {"Response": {"Error": "AuthFailure"}}),
        ("webhook", {"message_id": 7}),
        ("webhook", {"message_id": ""}),
        ("webhook", {"message_id": "x" * 129}),
        ("webhook", {"error": "no such class"}),
        ("webhook", {"error": None}),
        ("webhook", {"error": ["limit_user"]}),
    ],
)
def test_pv_6_wrong_types_leave_it_open(name: str, answer: Any) -> None:
    """With a good status something may have been done."""
    failed = judge(name, 200, answer)
    assert isinstance(failed, SendFailed)
    assert failed.kind == "unknown"


@pytest.mark.parametrize("name", ["aliyun", "tencent", "yuntongxun"])
def test_a_code_that_looks_like_none_is_not_passed_on(name: str) -> None:
    """Whatever a vendor writes there goes into logs and metrics."""
    answers: dict[str, Any] = {
        "yuntongxun": {"statusCode": "to 15400000001"},
        "aliyun": {"Code": "isv.15400000001"},
        "tencent": {"Response": {"Error": {"Code": "x" * 65}}},
    }
    failed = judge(name, 200, answers[name])
    assert isinstance(failed, SendFailed)
    assert failed.code == "unreadable"


def test_pv_3_yuntongxun_says_repeated_of_a_message_that_it_took() -> None:
    """That is success only if there was a try whose answer got lost; else it is a limit."""
    repeated = {"statusCode": "160056", "statusMsg": "重复的请求"}
    assert judge("yuntongxun", 200, repeated, repeated=True) == SendResult("")
    failed = judge("yuntongxun", 200, repeated)
    assert isinstance(failed, SendFailed)
    assert failed.kind == "limit_user"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_webhook_may_answer_with_nothing(status: int) -> None:
    """The message is then known by our own id."""
    assert judge("webhook", status, b"") == SendResult(an_sms().id)
    assert judge("webhook", status, {}) == SendResult(an_sms().id)


def test_a_webhook_may_name_the_class_with_any_status() -> None:
    """And a code of its own."""
    failed = judge("webhook", 500, {"error": "permanent", "code": "E-17"})
    assert isinstance(failed, SendFailed)
    assert (failed.kind, failed.code) == ("permanent", "E-17")


def test_a_webhook_may_say_conflict_of_a_message_that_it_took() -> None:
    """Only where there was a try whose answer got lost."""
    assert judge("webhook", 409, b"", repeated=True) == SendResult(an_sms().id)
    failed = judge("webhook", 409, b"")
    assert isinstance(failed, SendFailed)
    assert failed.kind == "config"
