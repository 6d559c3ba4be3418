"""Where a session is, in words that its owner knows again: never enough to find anybody by."""

import ipaddress

# The first that a User-Agent names, so an app stands before the browser that it is built on. Texts: `device.<word>`.
_BROWSERS = (
    ("MicroMessenger/", "wechat"),
    ("AlipayClient/", "alipay"),
    ("DingTalk/", "dingtalk"),
    ("MQQBrowser/", "qq"),
    ("QQBrowser/", "qq"),
    ("UCBrowser/", "uc"),
    ("Quark/", "quark"),
    ("HuaweiBrowser/", "huawei"),
    ("MiuiBrowser/", "xiaomi"),
    ("SamsungBrowser/", "samsung"),
    ("Edg", "edge"),
    ("OPR/", "opera"),
    ("Firefox/", "firefox"),
    ("FxiOS/", "firefox"),
    ("Chrome/", "chrome"),
    ("CriOS/", "chrome"),
    ("Safari/", "safari"),
)
_SYSTEMS = (
    ("iPhone", "iphone"),
    ("iPad", "ipad"),
    ("OpenHarmony", "harmony"),
    ("HarmonyOS", "harmony"),
    ("Android", "android"),
    ("Windows", "windows"),
    ("Macintosh", "macos"),
    ("CrOS", "chromeos"),
    ("Linux", "linux"),
)
DEVICE_WORDS = ("unknown", *dict.fromkeys(word for _, word in (*_BROWSERS, *_SYSTEMS)))


def words_of(agent: str) -> str:
    """Browser and system of a User-Agent as keys of texts: `wechat iphone`, `chrome windows`; else `unknown`."""
    found = [next((word for sign, word in table if sign in agent), "") for table in (_BROWSERS, _SYSTEMS)]
    return " ".join(filter(None, found)) or "unknown"


def masked_address(address: str) -> str:
    """`203.0.113.*`, or the /48 of IPv6: the network, without the household."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if isinstance(ip, ipaddress.IPv6Address):
        return ":".join(part.lstrip("0") or "0" for part in ip.exploded.split(":")[:3]) + ":*"
    return str(ip).rpartition(".")[0] + ".*"
