"""From the operator's options to the routes that SMS take."""

from collections.abc import Mapping, Sequence

from server.clock import Clock
from server.sms import PROVIDERS
from server.sms.http import VendorHttp
from server.sms.options import OptionFault, ProviderOptions
from server.sms.provider import SmsProvider
from server.sms.router import Route


def make_routes(
    names: Sequence[str],
    environ: Mapping[str, str],
    *,
    http: VendorHttp,
    clock: Clock,
    sandboxes: Mapping[str, SmsProvider | None],
) -> list[Route]:
    """A route for each of SMS_PROVIDERS, in their order; OptionFault for a name or an option that will not do.
    `environ`: all variables `SMS_…` that are not settings. A sandbox that is None is only known by its name."""
    if not names or len(set(names)) < len(names):
        raise OptionFault("SMS_PROVIDERS must name one provider or more, each once.")
    _require_known(environ)
    routes = []
    for name in names:
        if name in sandboxes:
            sandbox = sandboxes[name]
            routes += [Route(sandbox, rate=1000)] if sandbox else []
        elif name in PROVIDERS:
            routes.append(_vendor_route(ProviderOptions(name, environ), http, clock))
        else:
            raise OptionFault(f"SMS_PROVIDERS names {name!r}; there are: {', '.join([*sandboxes, *PROVIDERS])}.")
    return routes


def _require_known(environ: Mapping[str, str]) -> None:
    """A variable that nobody reads is a typing error."""
    ours = tuple(f"SMS_{name.upper()}_" for name in PROVIDERS)
    for name in environ:
        if environ[name].strip() and not name.startswith(ours):
            raise OptionFault(f"{name} is no setting; a provider's options begin with {' '.join(ours)}.")


def _vendor_route(options: ProviderOptions, http: VendorHttp, clock: Clock) -> Route:
    provider = PROVIDERS[options.name](options, http, clock=clock)
    common = options.common()
    options.finish()
    return Route(provider, common.rate, common.weight, common.receipt_secret, common.receipt_from)
