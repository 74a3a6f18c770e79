"""The outside world, one Protocol and one client each."""
