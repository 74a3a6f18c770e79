"""The event store: one total order of facts, built on `eventsourcing`, which only this imports."""
