"""SMS providers by the name that SMS_PROVIDERS uses."""

from server.sms.provider import SmsProvider
from server.sms.sandbox import Sandbox

PROVIDERS: dict[str, type[SmsProvider]] = {"sandbox": Sandbox}
