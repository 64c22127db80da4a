"""A person of the story at their browser: signed in to the portal as people do, speaking to its API."""

from typing import Any

import httpx

from portal.demo.seeding import SignIn

API = "/api/v1"


class Broken(AssertionError):
    """A promise that was not kept; the text says which."""


def expect(is_kept: bool, promise: str) -> None:
    """Raise Broken with the promise unless it is kept."""
    if not is_kept:
        raise Broken(promise)


class Person:
    """One signed-in person. Their requests carry the session and its CSRF token, as a browser's do."""

    def __init__(self, sign_in: SignIn, web_url: str) -> None:
        self.name = sign_in.name.partition(" ")[0]
        self._web = httpx.Client(base_url=web_url, timeout=20, trust_env=False)
        self._submit("/accounts/login/", login=sign_in.email, password=sign_in.password)
        if sign_in.seed:
            self._submit("/accounts/2fa/authenticate/", code=sign_in.code())
        expect(self.ask("/me/").status_code == 200, f"{sign_in.email} can sign in")

    def ask(self, path: str, **query: object) -> httpx.Response:
        """GET a path of the API and return the answer, whatever it is."""
        return self._web.get(f"{API}{path}", params={name: str(value) for name, value in query.items()})

    def read(self, path: str, **query: object) -> Any:
        """GET a path of the API and return its JSON. Raises Broken unless it is answered with 200."""
        answer = self.ask(path, **query)
        expect(answer.status_code == 200, f"{self.name} can read {path} (HTTP {answer.status_code})")
        return answer.json()

    def rows(self, path: str, **query: object) -> list[dict[str, Any]]:
        """GET the first 200 rows of a list."""
        rows: list[dict[str, Any]] = self.read(path, limit=200, **query)["results"]
        return rows

    def send(self, path: str, body: object) -> httpx.Response:
        """POST to a path of the API and return the answer, whatever it is."""
        return self._web.post(f"{API}{path}", json=body, headers={"X-CSRFToken": self._token()})

    def do(self, path: str, body: object) -> Any:
        """POST to a path of the API and return its JSON. Raises Broken unless it is answered with 2xx."""
        answer = self.send(path, body)
        expect(answer.is_success, f"{self.name} can post to {path} (HTTP {answer.status_code}: {answer.text[:200]})")
        return answer.json()

    def change(self, path: str, body: object) -> Any:
        """PATCH a path of the API and return its JSON. Raises Broken unless it is answered with 2xx."""
        answer = self._web.patch(f"{API}{path}", json=body, headers={"X-CSRFToken": self._token()})
        expect(answer.is_success, f"{self.name} can change {path} (HTTP {answer.status_code}: {answer.text[:200]})")
        return answer.json()

    def decide(self, verb: str, action: dict[str, Any], reason: str) -> dict[str, Any]:
        """Approve, reject or undo an action, and return it or what undoes it. Raises Broken when refused."""
        answer: dict[str, Any] = self.do(f"/actions/{action['id']}/{verb}/", {"reason": reason})
        return answer

    def _submit(self, path: str, **fields: str) -> None:
        """Open a page and send its form."""
        self._web.get(path).raise_for_status()
        answer = self._web.post(path, data={"csrfmiddlewaretoken": self._token(), **fields})
        expect(answer.status_code == 302, f"{self.name} gets past {path} (HTTP {answer.status_code})")

    def _token(self) -> str:
        return self._web.cookies.get("quell_csrf") or ""
