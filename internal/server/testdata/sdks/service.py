"""An ordinary WSGI service with Sentry's SDK for Python.

It serves two requests of one user, reports an error that it handled, and
ends; for new it dies of an error that nobody handled.

Environment: DSN, USER_ID, VARIANT (new or old; only new breaks).
"""

import os

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

IS_NEW = os.environ["VARIANT"] == "new"

sentry_sdk.init(
    dsn=os.environ["DSN"],
    release="shop@1.0.0",
    environment="production",
    traces_sample_rate=1.0,
    auto_session_tracking=True,
)
sentry_sdk.set_user({"id": os.environ["USER_ID"]})
sentry_sdk.set_context("flags", {"values": [{"flag": "newCheckout", "result": IS_NEW}]})


def shop(environ, start_response):
    status = "200 OK"
    if environ["PATH_INFO"] == "/cart":
        try:
            raise ValueError("cart is slow")
        except ValueError as error:
            sentry_sdk.capture_exception(error)
        status = "500 Internal Server Error" if IS_NEW else status
    start_response(status, [("Content-Type", "text/plain")])
    return [b"done"]


for path in ["/cart", "/pay"]:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    answer = SentryWsgiMiddleware(shop)(environ, lambda status, headers, exc_info=None: None)
    list(answer)
    answer.close()

if IS_NEW:
    raise TypeError("cart is broken")
