"""What leaves for a vendor, against published vectors and vectors made with the vendors' own packages."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from server.clock import Clock
from server.sms import aliyun, tencent, webhook, yuntongxun
from server.sms.provider import SendFailed
from tests.sms.support import ScriptedHttp, an_sms, build, finish
from tests.vendors import STAND_INS


class At(Clock):
    """A clock that stands."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def asked(name: str, at: float, **settings: str) -> tuple[str, dict[str, str], bytes]:
    """Address, headers and body of a request made at that time."""
    http = ScriptedHttp(500, b"")
    environ = STAND_INS[name](port=9).environ() | settings
    provider = build(name, environ, http, clock=At(at))
    with pytest.raises(SendFailed, match="transient"):
        finish(provider.send(an_sms()))
    return http.asked


def test_yuntongxun_signs_as_its_package_does() -> None:
    """MD5 in upper case."""
    sig = yuntongxun.signature("a" * 32, "b" * 32, "20250102030405")
    assert sig == "CAF0602B13D40CFBBBE26CD597AADEC9"


def test_yuntongxun_gets_its_own_local_time() -> None:
    """2025-01-01 19:04:05 UTC is 2025-01-02 03:04:05 in China, wherever we run."""
    url, headers, body = asked("yuntongxun", 1735758245.9)
    assert url.endswith(f"/2013-12-26/Accounts/{'a' * 32}/SMS/TemplateSMS?sig=CAF0602B13D40CFBBBE26CD597AADEC9")
    assert headers["Authorization"] == "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE6MjAyNTAxMDIwMzA0MDU="
    assert orjson.loads(body)["datas"] == ["012345", "5"]


@pytest.mark.parametrize(
    "host, base",
    [("production", "https://app.cloopen.com:8883/"), ("sandbox", "https://sandboxapp.cloopen.com:8883/")],
)
def test_yuntongxun_has_two_hosts(host: str, base: str) -> None:
    """The sandbox sends to registered handsets only."""
    url, _, _ = asked("yuntongxun", 0, SMS_YUNTONGXUN_URL="", SMS_YUNTONGXUN_HOST=host)
    assert url.startswith(base)


def test_aliyun_signs_as_its_package_does() -> None:
    """ACS3-HMAC-SHA256."""
    query = aliyun.canonical_query(
        {
            "PhoneNumbers": "13800138000",
            "SignName": "测试",
            "TemplateCode": "SMS_1",
            "TemplateParam": '{"code":"123456"}',
        }
    )
    headers = {
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2025-01-02T03:04:05Z",
        "x-acs-signature-nonce": "nonce-1",
        "x-acs-version": "2017-05-25",
    }
    names, signed = aliyun.signature("testsecret", query, headers)
    assert names == "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
    assert signed == "741c1302d30f90e6c6d06cb026ae0ff9aa982708fbf155bf9f779380f9cf73eb"


def test_aliyun_gets_only_the_variables_that_its_template_has() -> None:
    """The operator names them; without a name for the minutes they stay here."""
    url, _, _ = asked("aliyun", 0, SMS_ALIYUN_CODE_PARAM="otp", SMS_ALIYUN_MINUTES_PARAM="")
    assert parse_qs(urlsplit(url).query)["TemplateParam"] == ['{"otp":"012345"}']


def test_aliyun_gets_a_nonce_only_once() -> None:
    """It refuses a second use."""
    nonces = {asked("aliyun", 0)[1]["x-acs-signature-nonce"] for _ in range(50)}
    assert len(nonces) == 50


def test_tencent_signs_as_its_package_does() -> None:
    """TC3-HMAC-SHA256 over exactly the bytes that are sent."""
    body = (
        '{"PhoneNumberSet":["+8613800138000"],"SmsSdkAppId":"1400000000","SignName":"测试","TemplateId":"1",'
        '"TemplateParamSet":["123456","5"]}'
    ).encode()
    assert hashlib.sha256(body).hexdigest() == "791e10310c239c561949abd0a658ecf026bcab7202aa4d7a442cd9c754f44c9f"
    signed = tencent.signature(
        tencent.signing_key("testsecretkey", "2025-01-02"),
        timestamp=1735787045,
        scope="2025-01-02/sms/tc3_request",
        host="sms.tencentcloudapi.com",
        body=body,
    )
    assert signed == "4ce59d6d76837c7ebf57888e8c143c6bc0aaa8b082191f4cd12006596bf29cbe"


def test_tencent_is_signed_with_the_key_of_the_day() -> None:
    """In UTC: one that lives over midnight signs as one that was made after it."""
    http = ScriptedHttp(500, b"")
    clock = At(0)
    provider = build("tencent", STAND_INS["tencent"](port=9).environ(), http, clock=clock)
    for clock.at, date in ((1735775999, "2025-01-01"), (1735776000, "2025-01-02"), (1735776001, "2025-01-02")):
        with pytest.raises(SendFailed, match="transient"):
            finish(provider.send(an_sms()))
        signed = http.asked[1]["Authorization"]
        assert signed.split("/")[1] == date
        assert signed == asked("tencent", clock.at)[1]["Authorization"]


@pytest.mark.parametrize(
    "params, sent", [("code", ["012345"]), ("minutes,code", ["5", "012345"]), ("code,minutes", ["012345", "5"])]
)
def test_tencent_gets_the_variables_in_the_order_of_its_template(params: str, sent: list[str]) -> None:
    """As many as the template has: others are refused."""
    _, _, body = asked("tencent", 0, SMS_TENCENT_PARAMS=params)
    assert orjson.loads(body)["TemplateParamSet"] == sent


def test_the_webhook_is_signed_as_standard_webhooks_says() -> None:
    """The published vector of Standard Webhooks' own libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_webhook_gets_all_that_it_needs_to_send() -> None:
    """And nothing else of ours."""
    _, headers, body = asked("webhook", 1735787045)
    sms = an_sms()
    assert orjson.loads(body) == {
        "id": sms.id,
        "type": "sms.send",
        "timestamp": "2025-01-02T03:04:05+00:00",
        "data": {
            "mobile": sms.mobile,
            "purpose": "register",
            "code": sms.code,
            "minutes": 5,
            "text": sms.text,
            "locale": "zh_CN",
        },
    }
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (sms.id, "1735787045")
