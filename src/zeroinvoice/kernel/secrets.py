"""Secrets derived from the key of the installation, so that none is ever stored."""

import base64
import hmac


class Keyring:
    """Root keys, the current one first, and what is derived from each, one key a purpose.

    The current one seals; what a former one sealed is known as ours for as long as it is given.
    """

    def __init__(self, *roots: bytes) -> None:
        if not roots or any(len(root) < 32 for root in roots):
            raise ValueError("a root key must have at least 32 bytes")
        self._roots = roots

    def __repr__(self) -> str:
        return "Keyring(…)"

    def key(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA-256 of its name)."""
        return self.keys(purpose)[0]

    def keys(self, purpose: str) -> tuple[bytes, ...]:
        """The same of every root key, the current one's first."""
        return tuple(hmac.digest(root, purpose.encode(), "sha256") for root in self._roots)

    def seal(self, purpose: str, text: str) -> str:
        """256 bits, as 43 URL-safe characters, that only we could have made of this text."""
        return _sealed(self.key(purpose), text)

    def seals(self, purpose: str, text: str) -> tuple[str, ...]:
        """The same under every root key, the current one's first."""
        return tuple(_sealed(key, text) for key in self.keys(purpose))

    def holds(self, purpose: str, text: str, seal: str) -> bool:
        """Whether the seal is one of this text; each is compared in constant time."""
        given = seal.encode()
        found = [hmac.compare_digest(it.encode(), given) for it in self.seals(purpose, text)]
        return any(found)


def _sealed(key: bytes, text: str) -> str:
    mac = hmac.digest(key, text.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
