"""A person's requests without a browser: signed in by cookie, forms sent as a browser sends them."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.auth.csrf import token_for
from service.auth.storage import StoredAccounts
from tests.ui.installation import Installation

HTML = {"Accept": "text/html"}


class Asker:
    """One signed-in person; nobody for an empty name."""

    def __init__(self, installation: Installation, name: str = "admin") -> None:
        self.client: FlaskClient = installation.app.test_client()
        self.token = ""
        if name:
            account = StoredAccounts(installation.edges.store).find(name)
            assert account is not None
            self.token = installation.token(account)
            self.client.set_cookie("driftline", self.token)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=HTML | headers)

    def text(self, path: str, status: int = 200) -> str:
        """The words of a page that has to answer with this status, without its tags."""
        answer = self.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:500])
        return words(answer.text)

    def post(self, path: str, csrf: bool = True, **fields: Any) -> TestResponse:
        """Send a form."""
        data = fields | ({"csrf_token": token_for(self.token)} if csrf and self.token else {})
        return self.client.post(path, data=data, headers=HTML)


def words(html: str) -> str:
    """What a page says, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
