"""The use cases: check the policy, act, write the audit line. The same for a server's clients and for a user alone."""
