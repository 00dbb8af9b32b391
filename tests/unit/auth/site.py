"""A small application behind the guard, with a route of each sort."""

from dataclasses import dataclass, field

from flask import Flask, Response, jsonify
from flask.testing import FlaskClient

from driftline.access.policy import Policy, parse
from service.auth.addresses import NOBODY, Proxies
from service.auth.guard import Guard, authorise, csrf_token, current_user, denied, protect
from service.auth.passwords import hash_password
from service.auth.routes import routes
from service.auth.sessions import Sessions
from service.security import secure
from tests.kit.accounts import MemoryAccounts
from tests.webhooks.receiving import site as webhook_site

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
POLICY = """
p, role:shop, applications, get, web/*, allow
p, role:shop, applications, sync, web/shop, allow
"""
APPLICATIONS = {"web/shop", "infra/dns"}


@dataclass
class Site:
    """The application; accounts ada (admin), bob (role:shop) and eve (nothing), all with the same password."""

    app: Flask
    accounts: MemoryAccounts
    sessions: Sessions
    policy: list[Policy] = field(default_factory=list)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def token(self, name: str) -> str:
        return self.sessions.create_token(name, None)[1]

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}

    def signed_in(self, name: str) -> FlaskClient:
        """A browser with this person's session."""
        browser = self.client()
        answer = browser.post("/api/v1/session", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 200
        return browser


def site(public_url: str = "https://driftline.example", with_webhooks: bool = False, proxies: Proxies = NOBODY) -> Site:
    app = webhook_site().app if with_webhooks else Flask(__name__)
    accounts = MemoryAccounts()
    sessions = Sessions(accounts)
    policy = [parse(POLICY)]
    secure(app)
    protect(app, Guard(sessions, lambda: policy[0], public_url, proxies))
    app.register_blueprint(routes)
    for name, roles in (("ada", ("role:admin",)), ("bob", ("role:shop",)), ("eve", ())):
        accounts.add(name, roles, HASH)
    _views(app)
    return Site(app, accounts, sessions, policy)


def _views(app: Flask) -> None:
    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/login")
    def login() -> str:
        return "sign in"

    @app.get("/")
    def home() -> str:
        return f"hello {current_user().name}"

    @app.get("/applications/<path:name>")
    def page(name: str) -> str:
        return name

    @app.get("/token")
    def token() -> str:
        return csrf_token()

    @app.route("/change", methods=["POST", "PUT", "PATCH", "DELETE"])
    def change() -> Response:
        return jsonify(changed=True)

    @app.get("/api/v1/applications/<project>/<name>")
    def application(project: str, name: str) -> Response:
        found = f"{project}/{name}"
        authorise("applications", "get", found)
        if found not in APPLICATIONS:
            denied()
        return jsonify(name=name)
