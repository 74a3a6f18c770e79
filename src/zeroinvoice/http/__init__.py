"""What every route shares: auth, problems (RFC 9457), paging, body decoding, idempotency, etags."""
