"""Connects this app with serin: errors by Sentry's SDK, flags by OpenFeature's.

Call connect once at the start. It needs SERIN_URL, SERIN_SERVER_KEY and
SERIN_DSN in the environment. SERIN_OFF lists flags (comma between) that are
False whatever serin says, for the day on which it cannot be asked.
"""

import os

import sentry_sdk
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

TIMEOUT = 0.8  # seconds; the longest that a request waits for serin


def connect():
    sentry_sdk.init(
        dsn=os.environ.get("SERIN_DSN"),
        release=os.environ.get("RELEASE"),
        environment=os.environ.get("ENVIRONMENT", "production"),
    )
    api.set_provider(
        OFREPProvider(
            os.environ.get("SERIN_URL", "http://127.0.0.1:8750"),
            headers_factory=lambda: {"X-API-Key": os.environ.get("SERIN_SERVER_KEY", "")},
            timeout=TIMEOUT,
        )
    )


def enabled(flag, user_id, **attributes):
    """Evaluates a boolean flag; errors of this request say which variant it was.

    The user's id is the targeting key and the telemetry's user id: they must
    be the same. Without an answer it is False.
    """
    sentry_sdk.set_user({"id": user_id})
    if flag in os.environ.get("SERIN_OFF", "").split(","):
        return False
    details = api.get_client().get_boolean_details(flag, False, EvaluationContext(user_id, attributes))
    if details.error_code is None:
        sentry_sdk.set_tag(f"flag.{flag}", details.variant or str(details.value).lower())
    return details.value
