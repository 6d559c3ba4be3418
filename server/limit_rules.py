"""The numbers of all limits, their names in the environment (`LIMIT_…`) and their help lines."""

from dataclasses import dataclass, field
from typing import Any

from marshmallow.validate import Range

PREFIX = "LIMIT_"
_NUMBER = Range(1, 1_000_000)


def _limit(default: int, text: str) -> Any:
    return field(default=default, metadata={"read": "int", "help": text, "options": {"validate": _NUMBER}})


@dataclass(frozen=True, kw_only=True)
class LimitRules:
    """Where a limit of an address is given, that is when it asks for a captcha; at five times that it refuses."""

    sms_mobile_hour: int = _limit(5, "SMS to one number in an hour")
    sms_mobile_day: int = _limit(10, "SMS to one number in a day")
    sms_reset_hour: int = _limit(3, "SMS to one number in an hour to reset its password, and as many to claim it")
    sms_address_hour: int = _limit(10, "SMS that an address asks for in an hour")
    sms_address_burst: int = _limit(5, "and how many of them at once")
    sms_network_hour: int = _limit(60, "SMS that a network (IPv4 /24, IPv6 /48) asks for in an hour")
    sms_device_hour: int = _limit(5, "SMS that a browser asks for in an hour")
    sms_device_mobiles: int = _limit(3, "different numbers that a browser has SMS sent to in a day")
    sms_block_10min: int = _limit(30, "SMS to one block of numbers (the first seven digits) in ten minutes")
    sms_block_run: int = _limit(10, "neighbouring numbers sent to in ten minutes, then the block is shut for an hour")
    code_attempts: int = _limit(5, "wrong codes of one SMS")
    code_wrong_hour: int = _limit(10, "wrong codes of one number and purpose in an hour")
    code_wrong_day: int = _limit(20, "wrong codes of one number and purpose in a day")
    code_wrong_ever: int = _limit(100, "wrong codes in a row after which a number may not use SMS for that purpose")
    code_address_hour: int = _limit(60, "wrong codes of an address in an hour")
    code_service_hour: int = _limit(1_000, "wrong codes of all in an hour after which each code needs a captcha")
    login_captcha_from: int = _limit(3, "wrong passwords in a row from which on a login needs a captcha")
    login_wait_from: int = _limit(
        5, "wrong passwords in a row from which on a login has to wait, twice as long each time"
    )
    login_wait_max_s: int = _limit(900, "seconds that a login has to wait at most")
    login_wrong_ever: int = _limit(100, "wrong passwords in a row after which an account may not use its password")
    login_address_5min: int = _limit(30, "logins of an address in five minutes")
    login_address_accounts: int = _limit(20, "different accounts with wrong passwords of an address in an hour")
    check_address_minute: int = _limit(60, "questions whether a number is taken, of an address in a minute")
    check_address_day: int = _limit(600, "questions whether a number is taken, of an address in a day")
    check_numbers: int = _limit(
        10, "different numbers that an address asks about in a day before each needs a captcha"
    )
    check_run: int = _limit(30, "neighbouring numbers asked about in ten minutes, then an hour without an answer")
    register_address_hour: int = _limit(5, "registrations of an address in an hour")
    register_address_day: int = _limit(20, "registrations of an address in a day")
    socket_address_minute: int = _limit(60, "websockets that an address opens in a minute")
    socket_address_open: int = _limit(20, "websockets that an address has open; refused at five times that")
    socket_session_open: int = _limit(5, "websockets that speak for one session")
