"""Secrets derived from the one key of the installation, so that none is ever stored."""

import base64
import hashlib
import hmac


class Keyring:
    """The installation's root key and what is derived from it, one key a purpose."""

    def __init__(self, root: bytes) -> None:
        if len(root) < 32:
            raise ValueError("the installation's key must have at least 32 bytes")
        self._root = root

    def __repr__(self) -> str:
        return "Keyring(…)"

    def key(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA-256 of its name)."""
        return hmac.new(self._root, purpose.encode(), hashlib.sha256).digest()

    def seal(self, purpose: str, text: str) -> str:
        """256 bits, as 43 URL-safe characters, that only we could have made of this text."""
        mac = hmac.new(self.key(purpose), text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def holds(self, purpose: str, text: str, seal: str) -> bool:
        """Whether the seal is the one of this text; in constant time."""
        return hmac.compare_digest(self.seal(purpose, text).encode(), seal.encode())
