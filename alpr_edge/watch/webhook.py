"""Events by HTTP POST to a receiver.

The body is ``multipart/form-data`` with the part ``event`` (JSON, as
:mod:`alpr_edge.watch.event_json` has it) and, where there are pictures, the parts ``crop`` and
``scene`` (JPEG). The header ``Idempotency-Key`` is the same for every attempt to deliver the same
announcement.

========================================  ==================================================
answer                                    what becomes of the event
========================================  ==================================================
2xx                                       delivered
408, 429, 5xx, none in time, no way there tried again, not before ``Retry-After``
3xx, any other 4xx                        put aside as a dead letter, with the reason
========================================  ==================================================

Redirects are not followed: the token and the pictures go to the configured host only, certificates
are checked against the system's, and no proxy of the environment is used.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge import __version__
from alpr_edge.errors import UsageError
from alpr_edge.watch.config import WebhookConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.extras import require
from alpr_edge.watch.outbox import DeliveryError
from alpr_edge.watch.secrets import read_token
from alpr_edge.watch.sources import shown
from alpr_edge.watch.types import Event, Media

if TYPE_CHECKING:
    import httpx

_AGAIN = (408, 429)
_MAX_RETRY_AFTER = 600.0
_MAX_ANSWER = 300  # bytes of a refusal that are told


class Webhook:
    """One receiver. ``deliver`` is for its :class:`~alpr_edge.watch.outbox.Courier`.

    Raises:
        UsageError: the URL is not http or https, or the token cannot be read.
        LibraryError: httpx is not installed.
    """

    def __init__(self, config: WebhookConfig) -> None:
        self.target = f"webhook {config.name}"
        self._config = config
        self._library = require("httpx", "watch")
        self._url = self._checked_url()
        self._shown = shown(str(self._url))
        self._client: httpx.Client = self._library.Client(
            headers={"User-Agent": f"alpr-edge/{__version__}", "Accept-Encoding": "identity"}
            | _authorization(config.token_file),
            timeout=config.timeout, follow_redirects=False, trust_env=False,
            verify=ssl.create_default_context(),
        )

    def _checked_url(self) -> httpx.URL:
        try:
            url: httpx.URL = self._library.URL(self._config.url)
        except self._library.InvalidURL as error:
            raise UsageError(f"webhook {self._config.name}: url is {self._config.url!r}: {error}; "
                             "write https://HOST/PATH") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise UsageError(f"webhook {self._config.name}: url is {self._config.url!r}; it must "
                             "begin with https:// or http:// and name a host")
        return url

    def deliver(self, event: Event, media: Media) -> None:
        """Send an announcement and wait for the answer.

        Raises:
            DeliveryError: the receiver was not reached or did not take it.
        """
        pictures = media if self._config.pictures else Media(crop=None, scene=None)
        try:
            with self._client.stream(
                "POST", self._url, files=_parts(event, pictures),
                headers={"Idempotency-Key": event.key},
            ) as answer:
                self._check(answer)
        except (self._library.HTTPError, UnicodeError) as error:  # a name that no host can have
            reason = type(error).__name__
            if not isinstance(error, self._library.LocalProtocolError):  # it has the token's header
                reason += f": {error}"
            raise DeliveryError(f"{self._shown} does not answer ({reason}); check the URL and the "
                                "network") from error

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        problem = f"{self._shown} answers {answer.status_code}"
        if answer.is_redirect:  # its text mostly has the address, with the query, once more
            to = f" to {shown(str(answer.next_request.url))}" if answer.next_request else ""
            raise DeliveryError(f"{problem}{to}; redirects are not followed: set url to the "
                                "address itself", permanent=True)
        said = next(answer.iter_raw(_MAX_ANSWER), b"").decode(errors="replace")
        said = " ".join(said.split())
        permanent = answer.is_client_error and answer.status_code not in _AGAIN
        raise DeliveryError(f"{problem}{said and f': {said}'}", permanent=permanent,
                            retry_after=_seconds(answer.headers.get("Retry-After", "")))

    def close(self) -> None:
        """Close the connections; after its courier has been closed."""
        self._client.close()


def _authorization(token_file: Path | None) -> dict[str, str]:
    if token_file is None:
        return {}
    return {"Authorization": f"Bearer {read_token(token_file)}"}


def _parts(event: Event, media: Media) -> dict[str, tuple[str | None, bytes, str]]:
    text = json.dumps(event_json(event), ensure_ascii=False).encode()
    parts: dict[str, tuple[str | None, bytes, str]] = {"event": (None, text, "application/json")}
    for name, picture in (("crop", media.crop), ("scene", media.scene)):
        if picture is not None:
            parts[name] = (f"{event.key}-{name}.jpg", picture, "image/jpeg")
    return parts


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header in seconds; a date is not waited for but backed off."""
    return min(float(retry_after), _MAX_RETRY_AFTER) if retry_after.isdecimal() else 0.0
