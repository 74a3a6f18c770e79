"""The machinery under every read model: Projector, catch_up, rebuild, Reader."""
