"""The few words every room speaks: values, facts, money, refusals, secrets, clock."""
